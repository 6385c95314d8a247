export { isDateTime } from './date-time.js';
export { ERROR_CODES, TASK_FAILURE_CODES, type ErrorCode, type ErrorEnvelope, type TaskFailureCode } from './errors.js';
export {
  compareEventIds,
  EVENT_ID_PATTERN,
  formatEventId,
  isTaskId,
  MAX_EVENT_SEQ,
  parseCursor,
  TASK_ID_PATTERN,
} from './event-id.js';
export {
  isTaskEventType,
  isTerminalEventType,
  SUSPENSION_KINDS,
  TASK_EVENT_TYPES,
  TASK_MESSAGE_LEVELS,
  TERMINAL_EVENT_TYPES,
  type JsonObject,
  type SuspensionKind,
  type TaskActionAcceptedPayload,
  type TaskCancelledPayload,
  type TaskCompletedPayload,
  type TaskEvent,
  type TaskEventOf,
  type TaskEventPayloads,
  type TaskEventType,
  type TaskFailedPayload,
  type TaskMessageLevel,
  type TaskMessagePayload,
  type TaskProgressPayload,
  type TaskStartedPayload,
  type TaskSuspendedPayload,
  type TerminalEventType,
} from './events.js';
export {
  CLOSE_CODES,
  type CloseCode,
  type SseHeartbeatFrame,
  type SseServerFrame,
  type SubscriptionConfirmedFrame,
  type WebSocketHeartbeatFrame,
  type WebSocketServerFrame,
  type WebSocketSubscribeRequest,
} from './frames.js';
export { type PayloadProblem } from './object-shape.js';
export { checkEventEnvelope, checkEventPayload } from './payload-validators.js';
export {
  type ActionReceiptView,
  type AttachmentView,
  type CancellationView,
  type OpenSuspensionView,
  type PollEventsResponse,
  type TaskListItem,
  type TaskListResponse,
  type TaskSnapshot,
} from './task-views.js';
export {
  CANCEL_TASK_STATUSES,
  isTerminalStatus,
  TASK_CLIENT_ACTION_STATUSES,
  TASK_STATUSES,
  type CancelTaskRequest,
  type CancelTaskResponse,
  type CancelTaskStatus,
  type TaskClientAction,
  type TaskClientActionResponse,
  type TaskClientActionStatus,
  type TaskCreatedResponse,
  type TaskCreateRequest,
  type TaskStatus,
} from './tasks.js';
