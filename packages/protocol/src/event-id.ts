/** What a cursor looks like on the wire: the sequence number, with or without its `-0`; at most 15 digits, so it always fits a safe integer. */
export const EVENT_ID_PATTERN = /^\d{1,15}(-0)?$/;

/** What a task id looks like: 1 to 255 characters that need no escaping in a path segment, the first one alphanumeric. Existing clients refuse any other. */
export const TASK_ID_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9._@-]{0,254}$/;

/** The largest sequence number that fits the 15 digits of a cursor; a log cannot grow past it. */
export const MAX_EVENT_SEQ = 999_999_999_999_999;

/**
 * Writes the id of a task's `seq`-th event, counting from 1. 0 gives `0-0`, the cursor before the first event.
 * Throws a `RangeError` when `seq` is not an integer in 0..{@link MAX_EVENT_SEQ}.
 */
export function formatEventId(seq: number): string {
  if (!Number.isInteger(seq) || seq < 0 || seq > MAX_EVENT_SEQ) {
    throw new RangeError(`An event's sequence number is an integer in 0..${MAX_EVENT_SEQ}, got ${seq}`);
  }
  return `${seq}-0`;
}

/**
 * Reads a cursor as the sequence number to continue after. An absent cursor (`undefined`, `null`, empty text) and the
 * number zero in any spelling give 0, the start of the log; leading zeros do not matter.
 * Returns `null` for anything else, values that are not text included: the caller answers `INVALID_CURSOR`.
 */
export function parseCursor(text: unknown): number | null {
  if (text === undefined || text === null || text === '') {
    return 0;
  }
  return typeof text === 'string' && EVENT_ID_PATTERN.test(text) ? Number.parseInt(text, 10) : null;
}

/**
 * Orders two cursors of one task by position in the log, as `Array.prototype.sort` expects it: `10-0` follows `9-0`,
 * and `7` equals `7-0`. Cursors of different tasks have no order. Throws a `RangeError` when one is malformed.
 */
export function compareEventIds(a: string, b: string): number {
  return requireSeq(a) - requireSeq(b);
}

/** Tells whether a value can name a task; it says nothing about the task's existence. */
export function isTaskId(value: unknown): value is string {
  return typeof value === 'string' && TASK_ID_PATTERN.test(value);
}

function requireSeq(eventId: string): number {
  const seq = parseCursor(eventId);
  if (seq === null) {
    throw new RangeError(`Not an event id: ${JSON.stringify(eventId)}`);
  }
  return seq;
}
