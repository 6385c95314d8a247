import type { JsonObject, TaskEvent, TaskFailedPayload, TaskProgressPayload, TaskSuspendedPayload } from './events.js';
import type { TaskStatus } from './tasks.js';

/** A suspension nobody has answered yet, and the instant (RFC 3339) it was opened. */
export interface OpenSuspensionView extends TaskSuspendedPayload {
  createdAt: string;
}

/** An answer that won its suspension, and whose it was. */
export interface ActionReceiptView {
  clientActionId: string;
  suspendId: string;
  actionType: string;
  acceptedAt: string;
  /** Subject of the caller who answered; `null` when nobody did in time and the default action was taken. */
  acceptedBy: string | null;
}

/** A file sent with the create; its content is not served by the task routes. */
export interface AttachmentView {
  attachmentId: string;
  name: string;
  contentType: string;
  sizeBytes: number;
  /** Hash of the content in lower-case hexadecimal. */
  sha256: string;
}

/** A cancellation somebody asked for, whether or not it has taken effect. */
export interface CancellationView {
  reason: string;
  requestedAt: string;
}

/**
 * A task as of `lastEventId`: following the log after that cursor continues exactly from this state.
 * Suspensions and receipts come oldest first; all times are RFC 3339 in UTC.
 */
export interface TaskSnapshot {
  taskId: string;
  taskType: string;
  clientRequestId: string;
  status: TaskStatus;
  createdAt: string;
  updatedAt?: string;
  /** `null` until the terminal event. */
  finishedAt: string | null;
  /** `null` while the log is empty. */
  lastEventId: string | null;
  metadata: JsonObject;
  input?: JsonObject;
  /** There exactly when the status is COMPLETED; it may be `null`. */
  result?: unknown;
  /** There exactly when the status is FAILED. */
  error?: TaskFailedPayload;
  cancellation?: CancellationView;
  openSuspensions: OpenSuspensionView[];
  actions: ActionReceiptView[];
  attachments: AttachmentView[];
  /** The latest progress logged; `null` or absent before the first. */
  progress?: TaskProgressPayload | null;
}

/** One row of a task list: what a client needs to show it and to resume its log. */
export interface TaskListItem {
  taskId: string;
  taskType: string;
  clientRequestId: string;
  status: TaskStatus;
  /** At least one suspension is open. */
  waiting: boolean;
  createdAt: string;
  finishedAt: string | null;
  lastEventId: string | null;
}

/** One page of the caller's own tasks, newest first. `nextCursor` is opaque and unrelated to event ids; `null` on the last page. */
export interface TaskListResponse {
  items: TaskListItem[];
  nextCursor: string | null;
}

/** Events after the asked cursor, in log order. */
export interface PollEventsResponse {
  taskId: string;
  events: TaskEvent[];
  /** The cursor for the next poll: the last event's id, or the asked cursor when nothing came; `null` at the start of an empty log. */
  nextAfterEventId: string | null;
  /** More events are in the log already; when false, the next poll waits. */
  hasMore: boolean;
}

/**
 * A ticket to open one stream of one task without credentials: `?ticket=…` on SSE or at a WebSocket's upgrade, or
 * `ticket` in a subscribe frame of a multiplexed connection. Presenting it spends it.
 */
export interface StreamTicketResponse {
  /** A secret of 43 characters of base64url. */
  ticket: string;
  taskId: string;
  /** RFC 3339; the database's clock decides. */
  expiresAt: string;
}
