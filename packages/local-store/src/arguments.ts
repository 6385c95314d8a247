import { inspect } from 'node:util';
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

/** @param argument the name of the whole, in a complaint. */
export function checkAttempt(argument: string, value: TaskAttempt): void {
  if (!isObject(value)) throw new InvalidArgumentError(`${argument} must be an object; it is ${printed(value)}`);
  checkName('taskId', value.taskId);
  checkName('executionAttemptId', value.executionAttemptId);
}

export function checkSequence(value: number): void {
  if (Number.isSafeInteger(value) && value >= 1) return;
  throw new InvalidArgumentError(`sequence must be a whole number, at least 1; it is ${printed(value)}`);
}

export function checkExitCode(value: number | null): void {
  if (value === null || Number.isSafeInteger(value)) return;
  throw new InvalidArgumentError(`exitCode must be a whole number or null; it is ${printed(value)}`);
}

export function checkFlag(argument: string, value: boolean | undefined): void {
  if (value === undefined || typeof value === 'boolean') return;
  throw new InvalidArgumentError(`${argument} must be true or false; it is ${printed(value)}`);
}

/** Any text: ids that no message has are no mistake. */
export function checkMessageId(value: string): void {
  if (typeof value === 'string') return;
  throw new InvalidArgumentError(`messageId must be text; it is ${printed(value)}`);
}

export function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** In one short line, for a complaint: also what is no JSON. */
export function printed(value: unknown): string {
  return inspect(value, { depth: 0, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 3, maxStringLength: 80 });
}

/** Text as UTF-8. */
export function payloadBytes(payload: unknown): Uint8Array {
  if (typeof payload === 'string') return Buffer.from(payload, 'utf8');
  if (ArrayBuffer.isView(payload)) return new Uint8Array(payload.buffer, payload.byteOffset, payload.byteLength);
  throw new InvalidArgumentError(`payload must be text or bytes; it is ${printed(payload)}`);
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
