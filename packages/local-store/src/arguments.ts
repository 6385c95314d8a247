import { InvalidArgumentError } from './errors.js';
import type { TaskAttempt } from './records.js';

const MAX_NAME_LENGTH = 255;

/** 1 to 255 characters of well-formed text without NUL: whatever any receiver can take. */
export function checkName(argument: string, value: unknown): void {
  if (typeof value === 'string' && value !== '' && value.length <= MAX_NAME_LENGTH) {
    if (value.isWellFormed() && !value.includes('\0')) return;
  }
  throw new InvalidArgumentError(`${argument} must be 1 to ${MAX_NAME_LENGTH} characters of well-formed text`);
}

export function checkAttempt({ taskId, executionAttemptId }: TaskAttempt): void {
  checkName('taskId', taskId);
  checkName('executionAttemptId', executionAttemptId);
}

export function checkSequence(value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new InvalidArgumentError(`sequence must be a whole number, at least 1; it is ${String(value)}`);
}

export function checkExitCode(value: number | null): void {
  if (value === null || Number.isSafeInteger(value)) return;
  throw new InvalidArgumentError(`exitCode must be a whole number or null; it is ${String(value)}`);
}

/** Text as UTF-8. */
export function payloadBytes(payload: unknown): Uint8Array {
  if (typeof payload === 'string') return Buffer.from(payload, 'utf8');
  if (ArrayBuffer.isView(payload)) return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  throw new InvalidArgumentError('payload must be a string or bytes');
}

/** At most `limit` bytes; never ends inside a UTF-8 character that the limit cuts in two. */
export function cutBytes(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.byteLength <= limit) return bytes;
  let end = limit;
  while (end > 0 && limit - end < 3 && isContinuation(bytes[end])) end -= 1;
  // Four in a row are no UTF-8: bytes are cut where the limit is.
  return bytes.subarray(0, isContinuation(bytes[end]) ? limit : end);
}

function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
