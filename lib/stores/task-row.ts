import { TASK_STATUSES } from '@taskbridge/protocol';
import { dateOrNull, epochMs, type RawRow } from './raw-query.js';
import type { HandoffRecord, HandoffState, JsonObject, TaskRecord } from './records.js';

/** Columns of a `TaskRecord` in the order that `taskOf` reads; `t` is the table's alias. */
const COLUMNS = [
  't.task_id',
  't.owner_id',
  't.app_id',
  't.client_request_id',
  't.task_type',
  't.status',
  't.input',
  't.metadata',
  't.last_seq',
  't.retained_from_seq',
  't.attempt',
  't.retries',
  't.lease_owner',
  epochMs('t.next_run_at'),
  epochMs('t.suspended_at'),
  epochMs('t.deadline_at'),
  't.submission_state',
  't.submission_attempts',
  epochMs('t.submission_next_try_at'),
  't.submission_last_error',
  epochMs('t.cancel_requested_at'),
  't.cancel_reason',
  't.cancel_state',
  't.cancel_attempts',
  epochMs('t.cancel_next_try_at'),
  't.cancel_last_error',
  't.traceparent',
  epochMs('t.created_at'),
  epochMs('t.started_at'),
  epochMs('t.finished_at'),
] as const;

/** Select list of a task; further columns go after it. */
export const TASK_COLUMNS = COLUMNS.join(', ');

/** Index of the first column after `TASK_COLUMNS`. */
export const AFTER_TASK_COLUMNS = COLUMNS.length;

/** Reads a row that was selected by `TASK_COLUMNS`. */
export function taskOf(row: RawRow): TaskRecord {
  const text = (index: number): string => String(row[index]);
  const textOrNull = (index: number): string | null => (typeof row[index] === 'string' ? row[index] : null);
  return {
    taskId: text(0),
    ownerId: text(1),
    appId: textOrNull(2),
    clientRequestId: text(3),
    taskType: text(4),
    status: TASK_STATUSES[Number(row[5])] ?? 'ACCEPTED',
    input: JSON.parse(text(6)) as JsonObject,
    metadata: JSON.parse(text(7)) as JsonObject,
    lastSeq: Number(row[8]),
    retainedFromSeq: Number(row[9]),
    attempt: Number(row[10]),
    retries: Number(row[11]),
    leaseOwner: textOrNull(12),
    nextRunAt: dateOrNull(row[13]),
    suspendedAt: dateOrNull(row[14]),
    deadlineAt: dateOrNull(row[15]),
    submission: handoffOf(row, 16),
    cancelRequestedAt: dateOrNull(row[20]),
    cancelReason: textOrNull(21),
    cancellation: handoffOf(row, 22),
    traceparent: textOrNull(26),
    createdAt: dateOrNull(row[27]) as Date,
    startedAt: dateOrNull(row[28]),
    finishedAt: dateOrNull(row[29]),
  };
}

/** Four columns: state, attempts, next try, last error. */
export function handoffOf(row: RawRow, first: number): HandoffRecord {
  const lastError = row[first + 3];
  return {
    state: Number(row[first]) as HandoffState,
    attempts: Number(row[first + 1]),
    nextTryAt: dateOrNull(row[first + 2]),
    lastError: typeof lastError === 'string' ? lastError : null,
  };
}
