import { checkEventPayload, formatEventId, TASK_EVENT_TYPES, type TaskEventType } from '@taskbridge/protocol';
import { v7 as uuidv7, validate as isUuid } from 'uuid';
import { messageOf, TaskBridgeError, taskNotFound, validationError } from '../taskbridge.errors.js';
import type { AppendOutcome } from './append.sql.js';
import type { AppendCommand, AppendResult } from './event.store.js';
import type { RawRow } from './raw-query.js';

/** An append that has passed every check that needs no database, as the statement takes it. */
export interface PreparedAppend {
  readonly taskId: string;
  readonly type: TaskEventType;
  readonly typeCode: number;
  readonly attempt: number | null;
  readonly appendNo: number | null;
  readonly appendId: string | null;
  readonly payloadJson: string;
  /** May go with `plainAppendStatement`. */
  readonly isPlain: boolean;
  /** The element of the statement's JSON parameter. */
  readonly record: string;
}

/** One row of the statement's answer. */
export interface AppendVerdict {
  /** Position in the flush, from 0. */
  readonly index: number;
  readonly outcome: AppendOutcome;
  readonly seq: number;
  /** RFC 3339 in UTC. */
  readonly createdAt: string;
}

const MAX_INT4 = 2_147_483_647;
const TYPE_CODES = new Map<string, number>(TASK_EVENT_TYPES.map((type, code) => [type, code]));

/** Events that change nothing but the log. */
const PLAIN_TYPES: ReadonlySet<TaskEventType> = new Set(['TASK_PROGRESS', 'TASK_MESSAGE']);

/** `JSON.stringify` writes exactly NUL and lone surrogates as these escapes; an even number of backslashes is text. */
const UNSTORABLE = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/;

/**
 * Checks and serialises a command. Throws `TASK_NOT_FOUND` for an id that cannot name a task, `INVALID_TASK_STATE` for
 * a start that no attempt reports, `REQUEST_VALIDATION_ERROR` or `PAYLOAD_TOO_LARGE` for the payload. An append without
 * number and id gets a random id, so that it, too, can be repeated after a lost connection.
 */
export function prepareAppend(command: AppendCommand, maxPayloadBytes: number): PreparedAppend {
  const { taskId, type, attempt } = command;
  if (!isUuid(taskId)) throw taskNotFound(taskId);
  const typeCode = TYPE_CODES.get(type) ?? refuse('type', 'is not a type of event');
  if (type === 'TASK_STARTED' && attempt === null) {
    throw new TaskBridgeError('INVALID_TASK_STATE', `Task ${taskId} can only be started by an attempt`);
  }
  const appendNo = attempt === null ? null : (command.appendNo ?? null);
  const appendId = command.appendId ?? (appendNo === null ? uuidv7() : null);
  checkNumbers(attempt, appendNo, appendId);
  const payloadJson = payloadText(command, maxPayloadBytes);
  const no = appendNo === null ? '' : `"append_no":${appendNo},`;
  const id = appendId === null ? '' : `"append_id":"${appendId}",`;
  const record = `{"task_id":"${taskId}","type":${typeCode},"attempt":${attempt},${no}${id}"payload":${payloadJson}}`;
  const isPlain = PLAIN_TYPES.has(type) && appendNo !== null && appendId === null;
  return { taskId, type, typeCode, attempt, appendNo, appendId, payloadJson, isPlain, record };
}

/** The JSON of a value that Postgres can store, or a `REQUEST_VALIDATION_ERROR` that names `field`. */
export function storableJson(field: string, value: unknown): string {
  const text = stringify(field, value);
  if (text.includes('\\u') && UNSTORABLE.test(text)) {
    throw validationError([{ field, message: 'must not contain NUL or half of a surrogate pair' }]);
  }
  return text;
}

/** Reads the statement's answer, in the order of its input. New events of one flush share their time. */
export function verdictsOf(rows: readonly RawRow[]): AppendVerdict[] {
  const times = new Map<number, string>();
  const timeOf = (ms: number): string => {
    const text = times.get(ms) ?? new Date(ms).toISOString();
    times.set(ms, text);
    return text;
  };
  const verdicts = rows.map((row) => {
    const [n, seq, outcome, createdMs] = row as [number, number | null, AppendOutcome, number];
    return { index: n - 1, seq: seq ?? 0, outcome, createdAt: timeOf(createdMs) };
  });
  return verdicts.toSorted((one, other) => one.index - other.index);
}

/** What the caller of an applied append gets. */
export function appendResult({ seq, createdAt, outcome }: AppendVerdict): AppendResult {
  return { seq, eventId: formatEventId(seq), createdAt, deduplicated: outcome === 'DUPLICATE' };
}

/** The error of a refused append; nothing of it was written. */
export function appendRefusal(append: PreparedAppend, outcome: AppendOutcome): TaskBridgeError {
  const { taskId, type } = append;
  switch (outcome) {
    case 'TASK_NOT_FOUND':
      return taskNotFound(taskId);
    case 'TASK_ALREADY_TERMINAL':
      return new TaskBridgeError(outcome, `Task ${taskId} has ended: ${type} was not logged`);
    case 'ATTEMPT_SUPERSEDED':
      return new TaskBridgeError(outcome, `Another attempt of task ${taskId} has begun: ${type} was not logged`);
    case 'INVALID_TASK_STATE':
      return new TaskBridgeError(outcome, `Task ${taskId} cannot log ${type} in its present state`);
    default:
      return new TaskBridgeError('INTERNAL_ERROR', `Task ${taskId}: ${type} was not logged (${outcome})`);
  }
}

function checkNumbers(attempt: number | null, appendNo: number | null, appendId: string | null): void {
  if (attempt !== null && !isInt4(attempt)) refuse('attempt', 'must be an integer from 0, or null');
  if (appendNo !== null && (!isInt4(appendNo) || appendNo < 1)) refuse('appendNo', 'must be an integer from 1');
  if (appendId !== null && !isUuid(appendId)) refuse('appendId', 'must be a UUID');
}

function isInt4(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= MAX_INT4;
}

function payloadText(command: AppendCommand, maxPayloadBytes: number): string {
  const payload = withResult(command);
  const problems = checkEventPayload(command.type, payload);
  if (problems.length > 0) {
    throw validationError(
      problems.map(({ field, message }) => ({ field: field === '' ? 'payload' : `payload.${field}`, message })),
    );
  }
  const text = storableJson('payload', payload);
  if (text.length * 3 > maxPayloadBytes && Buffer.byteLength(text) > maxPayloadBytes) {
    throw new TaskBridgeError(
      'PAYLOAD_TOO_LARGE',
      `The payload of ${command.type} for task ${command.taskId} exceeds ${maxPayloadBytes} bytes; log a reference instead`,
      { details: { maxPayloadBytes } },
    );
  }
  return text;
}

/** A run that returns nothing completes with `null`: the wire always has a result. */
function withResult({ type, payload }: AppendCommand): object {
  if (type !== 'TASK_COMPLETED') return payload;
  return 'result' in payload && isWritten(payload.result) ? payload : { ...payload, result: null };
}

/** False for what `JSON.stringify` leaves out of an object. */
function isWritten(value: unknown): boolean {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') return false;
  if (typeof value !== 'object' || value === null || !('toJSON' in value)) return true;
  return storableJson('payload.result', [value]) !== '[null]';
}

function stringify(field: string, value: unknown): string {
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text !== undefined) return text;
  } catch (error) {
    throw new TaskBridgeError('REQUEST_VALIDATION_ERROR', `${field}: cannot be written as JSON: ${messageOf(error)}`, {
      details: { fields: [{ field, message: 'cannot be written as JSON' }] },
      cause: error,
    });
  }
  return refuse(field, 'cannot be written as JSON');
}

function refuse(field: string, message: string): never {
  throw validationError([{ field, message }]);
}
