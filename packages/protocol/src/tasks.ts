import type { JsonObject } from './events.js';

/** Every status a task passes through. The index is the code the database stores, so the order never changes and new ones go last. */
export const TASK_STATUSES = ['ACCEPTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const;

/** One of {@link TASK_STATUSES}. Waiting for an answer is not a status: such a task is RUNNING with open suspensions. */
export type TaskStatus = (typeof TASK_STATUSES)[number];

/** Tells whether the task has ended: a terminal status is never left again. */
export function isTerminalStatus(status: TaskStatus): boolean {
  return status === 'COMPLETED' || status === 'FAILED' || status === 'CANCELLED';
}

/** Body of a create. `clientRequestId` is the idempotency key within one owner; the same key with another type or input is refused, `metadata` does not count. */
export interface TaskCreateRequest {
  clientRequestId: string;
  /** Which of the host's handlers runs the task. */
  taskType: string;
  input?: JsonObject;
  metadata?: JsonObject;
}

/** Answer to a create: 201 for a new task, 200 with `deduplicated` for one that the key had created before, in its present status. */
export interface TaskCreatedResponse {
  taskId: string;
  status: TaskStatus;
  clientRequestId: string;
  deduplicated?: boolean;
}

/** Body of a cancel; the body itself may be left out. The reason returns in `TASK_CANCELLED`. */
export interface CancelTaskRequest {
  reason?: string;
}

/** What became of a cancel. `CANCELLATION_REQUESTED` is durable, yet a completion logged before it takes effect wins. */
export const CANCEL_TASK_STATUSES = ['CANCELLATION_REQUESTED', 'ALREADY_TERMINAL'] as const;

/** One of {@link CANCEL_TASK_STATUSES}. */
export type CancelTaskStatus = (typeof CANCEL_TASK_STATUSES)[number];

/** Answer to a cancel, the same however often it is repeated while the task is alive. */
export interface CancelTaskResponse {
  taskId: string;
  status: CancelTaskStatus;
}

/** Body of an answer to a suspension. `clientActionId` is its idempotency key: repeat an unanswered request with the same one. */
export interface TaskClientAction {
  clientActionId: string;
  suspendId: string;
  /** One of the suspension's `allowedActions`. */
  actionType: string;
  payload?: JsonObject;
  metadata?: JsonObject;
}

/** What became of an answer: it won; it had won before under this `clientActionId`; another won; it came after `expiresAt`. */
export const TASK_CLIENT_ACTION_STATUSES = [
  'ACCEPTED',
  'DEDUPLICATED',
  'REJECTED_ALREADY_RESOLVED',
  'REJECTED_EXPIRED',
] as const;

/** One of {@link TASK_CLIENT_ACTION_STATUSES}; the rejections are answers of their own, not HTTP errors. */
export type TaskClientActionStatus = (typeof TASK_CLIENT_ACTION_STATUSES)[number];

/** Answer to an answer: 202, or 200 where it is `DEDUPLICATED`. */
export interface TaskClientActionResponse {
  taskId: string;
  suspendId: string;
  clientActionId: string;
  status: TaskClientActionStatus;
}
