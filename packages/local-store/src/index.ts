export {
  ChunkTooLargeError,
  FinalConflictError,
  InvalidArgumentError,
  InvalidSettingError,
  LocalStoreError,
  SequenceConflictError,
  SqliteMissingError,
  StoreClosedError,
  StoreCorruptError,
  StoreDiskFullError,
  StoreForeignError,
  StoreLockedError,
  StoreNewerError,
  StoreUnavailableError,
  TaskStateConflictError,
  TerminalReserveUnavailableError,
  UnknownTaskError,
  type LocalStoreErrorCode,
} from './errors.js';
export type { ReceiptStore, RecoveryStore, ResultOutbox } from './interfaces.js';
export { LocalTaskStore } from './local-task-store.js';
export { openDefault, openLocalTaskStore } from './open-local-task-store.js';
export type {
  AppendedChunk,
  FinalMessage,
  FinalResult,
  OutboxMessage,
  OutputChunk,
  OutputMessage,
  OutputRange,
  ReceivedTask,
  RecordedFinal,
  SpoolStatus,
  StoreSnapshot,
  TaskAttempt,
  TaskState,
  TaskStatus,
  TruncationMessage,
} from './records.js';
export {
  recoverLocalTaskStore,
  type LocalTaskStoreRecovery,
  type RecoveryOptions,
} from './recover-local-task-store.js';
export {
  localTaskStoreOptions,
  localTaskStorePath,
  localTaskStoreSpoolCapBytes,
  localTaskStoreTerminalReserveBytes,
  type LocalTaskStoreOptions,
} from './settings.js';
export type { LocalStoreTelemetry, RotatedChunks } from './telemetry.js';
