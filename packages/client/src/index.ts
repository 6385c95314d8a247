export { type CheckpointStore } from './checkpoints/checkpoint-store.js';
export { IndexedDbStore } from './checkpoints/indexed-db.store.js';
export { MemoryStore } from './checkpoints/memory.store.js';
export { type ObserveOptions, type TaskBridgeClientOptions } from './client-options.js';
export { type Diagnostic, type DiagnosticsListener } from './diagnostics.js';
export {
  RequestRefusedError,
  TaskBridgeClientError,
  TaskCancelledError,
  TaskFailedError,
  TaskGapError,
  type ClientErrorCode,
} from './errors.js';
export { type AuthHeaderContext, type AuthHeaderProvider } from './http/auth-headers.js';
export { type TaskAttachment } from './http/multipart.js';
export { type RecoveryPolicy } from './recovery/ladder.js';
export { type NetworkStatus } from './recovery/network-status.js';
export { type RecoveryOptions } from './recovery/recovery-options.js';
export { type GapListener, type TaskGap } from './recovery/task-gap.js';
export { taskRoutes, type TaskRoutes } from './routes.js';
export {
  asActionAccepted,
  asFailure,
  asProgress,
  asSuspension,
  isTerminalEvent,
  type TaskActionAcceptedEvent,
  type TaskCancelledEvent,
  type TaskCompletedEvent,
  type TaskEvent,
  type TaskFailedEvent,
  type TaskMessageEvent,
  type TaskProgressEvent,
  type TaskStartedEvent,
  type TaskSuspendedEvent,
  type TaskSuspension,
  type TerminalTaskEvent,
  type UnknownTaskEvent,
} from './task-events.js';
export { type EventObserver, type TaskEventStream } from './task-events-stream.js';
export {
  TaskBridgeClient,
  type CallOptions,
  type ListTasksQuery,
  type StartTaskRequest,
  type SubmitActionRequest,
} from './taskbridge-client.js';
export { type TaskSession } from './task-session.js';
export { type WebSocketAuth } from './transports/socket-opener.js';
export { type TransportName } from './transports/transport.js';
export { type WebSocketConstructor, type WebSocketLike } from './transports/web-socket.js';
