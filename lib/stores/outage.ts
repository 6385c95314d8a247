/**
 * Connection exception, resources used up, a statement that took too long, server stopping or starting; and a primary
 * that has become a standby.
 */
const OUTAGE_STATES = /^(?:08|53|57014|57P0|25006)/;

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

function textOf(error: unknown, name: 'code' | 'message'): string | undefined {
  if (typeof error !== 'object' || error === null || !(name in error)) return undefined;
  const value: unknown = (error as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : undefined;
}
