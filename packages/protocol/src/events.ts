/** Every event a task's log may hold. The index is the code the database stores, so the order never changes and new types go last. */
export const TASK_EVENT_TYPES = [
  'TASK_STARTED',
  'TASK_PROGRESS',
  'TASK_MESSAGE',
  'TASK_SUSPENDED',
  'TASK_ACTION_ACCEPTED',
  'TASK_COMPLETED',
  'TASK_FAILED',
  'TASK_CANCELLED',
] as const;

/** The `type` of an event envelope. `HEARTBEAT` is not one: heartbeats are never logged. */
export type TaskEventType = (typeof TASK_EVENT_TYPES)[number];

/** The types that end a log: exactly one of them, as the last event. */
export const TERMINAL_EVENT_TYPES = ['TASK_COMPLETED', 'TASK_FAILED', 'TASK_CANCELLED'] as const;

/** A type after which no event follows and every stream ends. */
export type TerminalEventType = (typeof TERMINAL_EVENT_TYPES)[number];

/** What a suspended task waits for: a person, another system's confirmation, or the operator's go-ahead. */
export const SUSPENSION_KINDS = ['USER_ACTION_REQUIRED', 'EXTERNAL_CONFIRMATION_PENDING', 'SYSTEM_PAUSED'] as const;

/** One of {@link SUSPENSION_KINDS}; clients choose what to show by it. */
export type SuspensionKind = (typeof SUSPENSION_KINDS)[number];

/** How prominently a client shows a message. A log has no level for errors: those end it as `TASK_FAILED`. */
export const TASK_MESSAGE_LEVELS = ['info', 'warning', 'debug'] as const;

/** One of {@link TASK_MESSAGE_LEVELS}; readers treat an absent level as `info`. */
export type TaskMessageLevel = (typeof TASK_MESSAGE_LEVELS)[number];

/** A JSON object whose members the wire does not define. */
export type JsonObject = Record<string, unknown>;

/** The first attempt began; logged once per task, however often it is retried. */
export interface TaskStartedPayload {
  message?: string;
}

/** How far the work is: `progress` is a percentage in 0..100 and may go back after a retry. */
export interface TaskProgressPayload {
  progress: number;
  stage?: string;
  message?: string;
}

/** A line for the reader; a retry announces itself by one of level `warning`. */
export interface TaskMessagePayload {
  message: string;
  level?: TaskMessageLevel;
}

/** A question the task waits on. An answer names `suspendId` and picks one of `allowedActions`, of which there is at least one. */
export interface TaskSuspendedPayload {
  suspendId: string;
  kind: SuspensionKind;
  /** Why the task waits, as a stable code of the host's choosing. */
  reasonCode: string;
  allowedActions: string[];
  /** Version of the host's question format, an integer from 1: a client that knows only older ones can say so. */
  schemaVersion: number;
  /** RFC 3339; after this instant answers are rejected as expired. Absent or `null`: the question never expires. */
  expiresAt?: string | null;
  uiHints?: JsonObject;
  /** What to ask. `actionSchemas[action]`, where present, is the JSON Schema of that action's answer. */
  interaction?: JsonObject;
}

/** An answer won its suspension. `clientActionId` is `expiry:<suspendId>` where the default action was taken at expiry. */
export interface TaskActionAcceptedPayload {
  suspendId: string;
  clientActionId: string;
  actionType: string;
  /** RFC 3339, by the database's clock. */
  acceptedAt: string;
  message?: string;
}

/** The task's outcome. `result` is always there (`null` where the task returns nothing); it is the one open payload, so hosts may add members beside it. */
export interface TaskCompletedPayload {
  result: unknown;
  [member: string]: unknown;
}

/** Why the task failed: `code` is one of `TASK_FAILURE_CODES` or the host's own; `retryable` says whether creating the task anew may succeed. */
export interface TaskFailedPayload {
  code: string;
  message: string;
  retryable: boolean;
}

/** Why the task was cancelled: the requester's words, or `cancelled_by_user` when there were none. */
export interface TaskCancelledPayload {
  reason: string;
  message?: string;
}

/** Which payload belongs to which event type. */
export interface TaskEventPayloads {
  TASK_STARTED: TaskStartedPayload;
  TASK_PROGRESS: TaskProgressPayload;
  TASK_MESSAGE: TaskMessagePayload;
  TASK_SUSPENDED: TaskSuspendedPayload;
  TASK_ACTION_ACCEPTED: TaskActionAcceptedPayload;
  TASK_COMPLETED: TaskCompletedPayload;
  TASK_FAILED: TaskFailedPayload;
  TASK_CANCELLED: TaskCancelledPayload;
}

/** One log entry as every transport sends it. `eventId` is the cursor to resume after it; `createdAt` is RFC 3339 in UTC and does not order the log. */
export interface TaskEventOf<T extends TaskEventType> {
  type: T;
  taskId: string;
  eventId: string;
  createdAt: string;
  payload: TaskEventPayloads[T];
}

/** Any log entry; checking `type` narrows `payload`. */
export type TaskEvent = { [T in TaskEventType]: TaskEventOf<T> }[TaskEventType];

/** Tells whether a value is one of {@link TASK_EVENT_TYPES}; a newer server may send types this package does not know. */
export function isTaskEventType(value: unknown): value is TaskEventType {
  return typeof value === 'string' && (TASK_EVENT_TYPES as readonly string[]).includes(value);
}

/** Tells whether an event of this type ends its task's log. */
export function isTerminalEventType(type: TaskEventType): type is TerminalEventType {
  return type === 'TASK_COMPLETED' || type === 'TASK_FAILED' || type === 'TASK_CANCELLED';
}
