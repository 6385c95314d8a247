import { type Finding, FINDING_CODES, type FindingCode } from './finding-codes.js';
import { LostLeases } from './lost-leases.js';
import { type OrphanCheck, orphanChecks, ownersStatement } from './orphan-checks.js';
import { type ScannedCounts, TaskBatch } from './task-batch.js';
import { VerificationConnection, type VerificationSource } from './verification-connection.js';
import { verificationLimits, type VerificationLimits, type VerificationOptions } from './verification-options.js';

/** What a verification found, in the order of the codes. */
export interface VerificationReport {
  /** At most `maxFindingsPerCode` of each code. */
  findings: Finding[];
  /** How many there are of each code, also those that `findings` leaves out; codes without any are absent. */
  counts: Partial<Record<FindingCode, number>>;
  scanned: ScannedCounts;
}

const BEFORE_ALL_IDS = '00000000-0000-0000-0000-000000000000';

/**
 * Looks for broken invariants in a live database, while apps go on using it. It writes and locks nothing: tasks are
 * read in batches, each in one read-only snapshot, so that what happens meanwhile causes no finding. Tasks that are
 * created after the start are left out. Rejects with the driver's error when the database cannot be read.
 */
export async function verifyTaskBridge(
  source: VerificationSource,
  options: VerificationOptions = {},
): Promise<VerificationReport> {
  const limits = verificationLimits(options);
  const connection = await VerificationConnection.open(source, options.schema);
  try {
    return await new Verification(connection, limits, options.signal).run();
  } finally {
    await connection.close();
  }
}

class Verification {
  private readonly found = new Map<FindingCode, Finding[]>();
  private readonly counts = new Map<FindingCode, number>();
  private readonly scanned: ScannedCounts = { tasks: 0, events: 0, suspensions: 0, receipts: 0, attachments: 0 };
  private readonly batch: TaskBatch;
  private readonly lostLeases: LostLeases;

  constructor(
    private readonly connection: VerificationConnection,
    private readonly limits: VerificationLimits,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.batch = new TaskBatch(connection, limits);
    this.lostLeases = new LostLeases(connection, limits.leaseGraceMs);
  }

  async run(): Promise<VerificationReport> {
    await this.scanTasks();
    for (const check of orphanChecks(this.connection.tables)) await this.scanOwners(check);
    this.add(await this.lostLeases.findings(this.signal));
    const codes = Object.keys(FINDING_CODES) as FindingCode[];
    return {
      findings: codes.flatMap((code) => this.found.get(code) ?? []),
      counts: Object.fromEntries(
        codes.flatMap((code) => (this.counts.has(code) ? [[code, this.counts.get(code)]] : [])),
      ),
      scanned: this.scanned,
    };
  }

  private async scanTasks(): Promise<void> {
    const { tasks } = this.connection.tables;
    const last = await this.lastId(tasks, 'task_id');
    // The tasks after $1, up to the last one that was there at the start.
    const next = `select t.task_id from ${tasks} t where t.task_id > $1 and t.task_id <= $2 order by t.task_id limit $3`;
    await this.pages(async (after) => {
      const rows = await this.connection.rows(next, [after, last, this.limits.batchSize]);
      const taskIds = rows.map(([taskId]) => String(taskId));
      if (taskIds.length === 0) return undefined;
      this.add(await this.batch.findings(taskIds, this.scanned));
      await this.lostLeases.look(taskIds);
      return taskIds.at(-1);
    });
  }

  private async scanOwners(check: OrphanCheck): Promise<void> {
    const last = await this.lastId(check.table, check.column);
    const statement = ownersStatement(check);
    await this.pages(async (after) => {
      if (after >= last) return undefined;
      const rows = await this.connection.rows(statement, [after, this.limits.batchSize]);
      const lost = rows.filter(([, exists]) => exists !== true).map(([id]) => String(id));
      this.add(lost.map((id) => orphan(check, id)));
      return rows.length === 0 ? undefined : String(rows.at(-1)?.[0]);
    });
  }

  /** Each page in a snapshot of its own, until one has no last id. */
  private async pages(read: (after: string) => Promise<string | undefined>): Promise<void> {
    let after: string | undefined = BEFORE_ALL_IDS;
    while (after !== undefined) {
      this.signal?.throwIfAborted();
      const from: string = after;
      after = await this.connection.snapshot(() => read(from));
    }
  }

  private async lastId(table: string, column: string): Promise<string> {
    const statement = `select x.${column} from ${table} x where x.${column} is not null order by x.${column} desc limit 1`;
    const [row] = await this.connection.rows(statement, []);
    return row === undefined ? BEFORE_ALL_IDS : String(row[0]);
  }

  private add(findings: readonly Finding[]): void {
    for (const finding of findings) {
      const kept = this.found.get(finding.code) ?? [];
      if (kept.length < this.limits.maxFindingsPerCode) kept.push(finding);
      this.found.set(finding.code, kept);
      this.counts.set(finding.code, (this.counts.get(finding.code) ?? 0) + 1);
    }
  }
}

function orphan({ code, column }: OrphanCheck, id: string): Finding {
  if (column === 'task_id') return { code, taskId: id, detail: 'the task does not exist' };
  return { code, taskId: null, detail: `attachment ${id} does not exist` };
}
