import type { SuspensionKind, TaskEventType, TaskStatus } from '@taskbridge/protocol';

export type JsonObject = Record<string, unknown>;

/** State of one durable hand-off (submission, resume, cancellation); the numbers are the stored codes. */
export const HandoffState = { none: 0, pending: 1, delivered: 2, consumed: 3, closed: 4 } as const;
export type HandoffState = (typeof HandoffState)[keyof typeof HandoffState];

export interface HandoffRecord {
  /** `consumed` only on resumes: the run that took the action has ended. `closed`: the task ended first. */
  state: HandoffState;
  attempts: number;
  nextTryAt: Date | null;
  lastError: string | null;
}

/** A task's row. `status`, `lastSeq`, `startedAt` and `finishedAt` change only together with an appended event. */
export interface TaskRecord {
  taskId: string;
  ownerId: string;
  appId: string | null;
  clientRequestId: string;
  taskType: string;
  status: TaskStatus;
  input: JsonObject;
  metadata: JsonObject;
  /** Sequence number of the newest event; 0 while the log is empty. */
  lastSeq: number;
  /** Lowest sequence number still stored; 1 until retention trims the log. */
  retainedFromSeq: number;
  /** The fence: appends that name a smaller attempt are refused. 0 until the first lease or `beginAttempt`. */
  attempt: number;
  /** Failures so far; hand-backs at shutdown do not count. */
  retries: number;
  /** Process that runs the task now (`HandlerTaskExecutor` only). */
  leaseOwner: string | null;
  /** Queued for a run from this time on (`HandlerTaskExecutor` only). */
  nextRunAt: Date | null;
  /** Since when the task's last run has ended by waiting for an answer (`HandlerTaskExecutor` only). */
  suspendedAt: Date | null;
  deadlineAt: Date | null;
  submission: HandoffRecord;
  cancelRequestedAt: Date | null;
  cancelReason: string | null;
  cancellation: HandoffRecord;
  /** W3C trace context of the creating request. */
  traceparent: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** One event as the log stores it. `payloadJson` is handed to clients as it is, never parsed on the way. */
export interface LogEvent {
  taskId: string;
  seq: number;
  type: TaskEventType;
  /** RFC 3339 in UTC with milliseconds, from the database's clock. */
  createdAt: string;
  payloadJson: string;
}

export const SuspensionStatus = { open: 0, resolved: 1, expired: 2, closed: 3 } as const;
export type SuspensionStatus = (typeof SuspensionStatus)[keyof typeof SuspensionStatus];

/** What happens when nobody answers in time; `resume` names the action to act on as if somebody had submitted it. */
export type OnExpiry = 'fail' | 'cancel' | { resume: string; payload?: JsonObject | undefined };

/** What an executor asks when it suspends a task. */
export interface SuspensionRequest {
  /** Unique within the task. @default a UUIDv7 */
  suspendId?: string;
  /** @default 'USER_ACTION_REQUIRED' */
  kind?: SuspensionKind;
  reasonCode: string;
  /** At least one, each of 1–128 characters; an answer with another one is refused with `ACTION_NOT_ALLOWED`. */
  allowedActions: readonly string[];
  /** @default 1 */
  schemaVersion?: number;
  /** Absolute, or relative to the database's clock by `expiresInMs`; omitted: it never expires. */
  expiresAt?: Date;
  expiresInMs?: number;
  /** @default 'fail' */
  onExpiry?: OnExpiry;
  uiHints?: JsonObject;
  interaction?: JsonObject;
  /** JSON Schema (draft 2020-12) of the answer's payload per action; travels to clients in `interaction.actionSchemas`. */
  actionSchemas?: Record<string, JsonObject>;
  /** Kept with the suspension and handed to the run that resumes; never shown to clients. At most 1 MiB as JSON. */
  state?: unknown;
}

export interface TaskSuspensionRecord {
  taskId: string;
  suspendId: string;
  eventSeq: number;
  kind: SuspensionKind;
  reasonCode: string;
  allowedActions: string[];
  schemaVersion: number;
  expiresAt: Date | null;
  onExpiry: OnExpiry;
  uiHints: JsonObject | null;
  interaction: JsonObject | null;
  actionSchemas: Record<string, JsonObject> | null;
  state: unknown;
  status: SuspensionStatus;
  createdAt: Date;
  resolvedAt: Date | null;
  /** `clientActionId` of the winning action. */
  resolvedBy: string | null;
}

/** The durable proof that an action was accepted, with its resume hand-off. */
export interface TaskActionReceipt {
  taskId: string;
  clientActionId: string;
  suspendId: string;
  actionType: string;
  payload: JsonObject | null;
  metadata: JsonObject | null;
  /** SHA-256 of suspendId, actionType and payload in canonical JSON. */
  requestHash: string;
  /** Sequence number of its `TASK_ACTION_ACCEPTED`; the order of acceptance. */
  eventSeq: number;
  /** Subject that answered; `null` when the suspension's expiry did. */
  acceptedBy: string | null;
  acceptedAt: Date;
  resume: HandoffRecord;
}

export interface AttachmentRecord {
  attachmentId: string;
  /** `null` while staged by an upload whose task does not exist yet. */
  taskId: string | null;
  position: number;
  name: string;
  contentType: string;
  sizeBytes: number;
  /** Lower-case hex. */
  sha256: string;
  createdAt: Date;
}
