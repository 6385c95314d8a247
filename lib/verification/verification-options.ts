/** How a database is verified. */
export interface VerificationOptions {
  /** Schema of the tables. @default the DataSource's, else what the connection's `search_path` finds */
  schema?: string | undefined;
  /** Hand-offs, deadlines and expiries that are due longer ago than this are findings. @default 600000 */
  pendingOlderThanMs?: number | undefined;
  /** How long a lease may outlive its process before that is a finding. @default 60000 */
  leaseGraceMs?: number | undefined;
  /**
   * Retention may be taking apart a task that ended longer ago than this: its missing answers and file contents are no
   * findings. At most the smallest age that the host's retention is set to. @default 2592000000 (30 days)
   */
  retainedMs?: number | undefined;
  /** Tasks per snapshot; bounds the memory and how long a transaction is open. @default 200 */
  batchSize?: number | undefined;
  /** Findings to return of each code; the others are only counted. @default 100 */
  maxFindingsPerCode?: number | undefined;
  /** Ends the scan between two batches; the call rejects with its reason. */
  signal?: AbortSignal | undefined;
}

/** The options with their defaults. */
export interface VerificationLimits {
  readonly pendingOlderThanMs: number;
  readonly leaseGraceMs: number;
  readonly retainedMs: number;
  readonly batchSize: number;
  readonly maxFindingsPerCode: number;
}

const DAY_MS = 86_400_000;

const DEFAULTS: VerificationLimits = {
  pendingOlderThanMs: 600_000,
  leaseGraceMs: 60_000,
  retainedMs: 30 * DAY_MS,
  batchSize: 200,
  maxFindingsPerCode: 100,
};

/** Fills in the defaults; throws a RangeError for what cannot be meant. */
export function verificationLimits(options: VerificationOptions): VerificationLimits {
  const read = (name: keyof VerificationLimits, least: number): number => {
    const value = options[name] ?? DEFAULTS[name];
    if (Number.isFinite(value) && value >= least) return value;
    throw new RangeError(`verifyTaskBridge: ${name} must be a number from ${least}`);
  };
  return {
    pendingOlderThanMs: read('pendingOlderThanMs', 0),
    leaseGraceMs: read('leaseGraceMs', 0),
    retainedMs: read('retainedMs', 0),
    batchSize: Math.floor(read('batchSize', 1)),
    maxFindingsPerCode: Math.floor(read('maxFindingsPerCode', 1)),
  };
}
