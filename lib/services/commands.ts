import type { GapMode, TaskEvent, TaskStatus } from '@taskbridge/protocol';
import type { AuthContext } from '../security/auth-context.js';
import type { ActionOutcome } from '../stores/suspension.store.js';
import type { AttachmentRecord, JsonObject } from '../stores/records.js';

export interface TaskCreateCommand {
  /** Owner of the task. */
  auth: AuthContext;
  /** Idempotency key within the owner; 1–255 characters. */
  clientRequestId: string;
  /** 1–128 characters. */
  taskType: string;
  input?: JsonObject | undefined;
  /** Not part of the request's identity: a repeat may differ in it. */
  metadata?: JsonObject | undefined;
  /** Staged by `AttachmentStore.stage`; bound to the new task, discarded on a repeat. */
  attachments?: readonly AttachmentRecord[] | undefined;
  /** The task fails with `DEADLINE_EXCEEDED` when it has not ended by then, in ms from creation. */
  deadlineMs?: number | undefined;
  /** W3C trace context of the caller. */
  traceparent?: string | undefined;
}

export interface TaskCreatedResult {
  taskId: string;
  status: TaskStatus;
  clientRequestId: string;
  deduplicated: boolean;
}

export interface CancelTaskCommand {
  taskId: string;
  /** @default 'cancelled_by_user' */
  reason?: string | undefined;
}

export interface CancelTaskResult {
  taskId: string;
  status: 'CANCELLATION_REQUESTED' | 'ALREADY_TERMINAL';
}

export interface SubmitActionCommand {
  taskId: string;
  /** Idempotency key within the task; 1–255 characters. */
  clientActionId: string;
  suspendId: string;
  actionType: string;
  payload?: JsonObject | undefined;
  metadata?: JsonObject | undefined;
  /** Subject that answers; kept in the receipt. */
  acceptedBy: string | null;
}

export interface SubmitActionResult {
  taskId: string;
  suspendId: string;
  clientActionId: string;
  status: ActionOutcome;
}

export interface PollEventsQuery {
  taskId: string;
  /** Sequence number of the cursor; 0 from the start. */
  afterSeq: number;
  waitTimeoutMs: number;
  maxEvents: number;
  /** `error` rejects with `EVENT_GAP` where the log no longer reaches back to the cursor; omitted, it skips. */
  gap?: GapMode | undefined;
  signal?: AbortSignal | undefined;
}

export interface PollEventsResult {
  taskId: string;
  events: TaskEvent[];
  nextAfterEventId: string | null;
  /** True only when more events exist right now. */
  hasMore: boolean;
}
