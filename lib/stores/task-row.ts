import { TASK_STATUSES } from '@taskbridge/protocol';
import { dateOrNull, epochMs, type RawRow } from './raw-query.js';
import { type HandoffRecord, HandoffState, type JsonObject, type TaskRecord } from './records.js';
import type { NewTask } from './task-registry.js';

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

/** What a created row has that is not given: times on the database's clock. */
export const CREATED_COLUMNS = [
  epochMs('t.created_at'),
  epochMs('t.deadline_at'),
  epochMs('t.submission_next_try_at'),
].join(', ');

/** The row that an insert of `task` has made, from its `CREATED_COLUMNS`; everything else is given or a default. */
export function createdTask(task: NewTask, input: string, metadata: string, times: RawRow): TaskRecord {
  const { taskId, ownerId, appId, clientRequestId, taskType, traceparent, submissionClaimMs } = task;
  const [createdMs, deadlineMs, claimedUntilMs] = times;
  return {
    taskId,
    ownerId,
    appId,
    clientRequestId,
    taskType,
    status: 'ACCEPTED',
    input: JSON.parse(input) as JsonObject,
    metadata: JSON.parse(metadata) as JsonObject,
    lastSeq: 0,
    retainedFromSeq: 1,
    attempt: 0,
    retries: 0,
    leaseOwner: null,
    nextRunAt: null,
    suspendedAt: null,
    deadlineAt: dateOrNull(deadlineMs),
    submission: {
      state: HandoffState.pending,
      attempts: submissionClaimMs > 0 ? 1 : 0,
      nextTryAt: dateOrNull(claimedUntilMs),
      lastError: null,
    },
    cancelRequestedAt: null,
    cancelReason: null,
    cancellation: { state: HandoffState.none, attempts: 0, nextTryAt: null, lastError: null },
    traceparent,
    createdAt: dateOrNull(createdMs) as Date,
    startedAt: null,
    finishedAt: null,
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
