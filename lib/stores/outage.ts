/** A primary that has become a standby, or a database that was made read-only. */
const READ_ONLY = '25006';
/** The statement lost against another one: not serializable, or the victim of a deadlock. */
const LOST_CONFLICT = /^40(?:001|P01)$/;

/**
 * Connection exception, lost conflict, resources used up, a statement, a wait for a row or a transaction that took too
 * long, server stopping or starting, read-only.
 */
const OUTAGE_STATES = /^(?:08|25006|25P03|25P04|40001|40P01|53|55P03|57014|57P0)/;

/** Sockets and name look-ups; Node's codes, not Postgres'. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

/** What `pg`, its pool and TypeORM say without a code when a connection cannot be had or was lost meanwhile. */
const OUTAGE_MESSAGE = new RegExp(
  [
    'Connection terminated',
    'timeout exceeded when trying to connect',
    'timeout expired',
    'Client has encountered a connection error',
    'Client was closed',
    'Query read timeout',
    'Query runner already released',
    'Cannot use a pool after calling end',
  ]
    .map((start) => `^(?:Error: )?${start}`)
    .join('|'),
);

/** The database is out of reach, takes nobody in or is too slow: the same may succeed a moment later. */
export function isOutage(error: unknown): boolean {
  const code = textOf(error, 'code');
  if (code !== undefined && SOCKET_CODES.has(code)) return true;
  const state = sqlState(error);
  return state === undefined ? OUTAGE_MESSAGE.test(textOf(error, 'message') ?? '') : OUTAGE_STATES.test(state);
}

/** The SQLSTATE of an error that the server has sent. */
export function sqlState(error: unknown): string | undefined {
  const code = textOf(error, 'code');
  // EPIPE has the form of a SQLSTATE.
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && !SOCKET_CODES.has(code) ? code : undefined;
}

/** A statement of its own that failed so had no effect, and may succeed when it is sent again at once. */
export function isLostConflict(error: unknown): boolean {
  return LOST_CONFLICT.test(sqlState(error) ?? '');
}

/** A session of such a server may outlive a failover: only a new one finds the primary. */
export function isReadOnlyServer(error: unknown): boolean {
  return sqlState(error) === READ_ONLY;
}

/**
 * Whether the connection that the error came from can be used again. Errors that the server sent carry a severity; after
 * any other the connection cannot be trusted.
 */
export function keepsSession(error: unknown): boolean {
  return textOf(error, 'severity') === 'ERROR' && !isReadOnlyServer(error);
}

function textOf(error: unknown, name: 'code' | 'message' | 'severity'): string | undefined {
  if (typeof error !== 'object' || error === null || !(name in error)) return undefined;
  const value: unknown = (error as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}
