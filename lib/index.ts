export { TaskBridgeExceptionFilter } from './controllers/taskbridge-exception.filter.js';
export {
  AttachmentChunkEntity,
  AttachmentEntity,
  ReceiptEntity,
  RunnerProcessEntity,
  SuspensionEntity,
  TASKBRIDGE_ENTITIES,
  TaskEntity,
  TaskEventEntity,
} from './entities/index.js';
export { HandlerTaskExecutor } from './executors/handler-task-executor.js';
export { TaskExecutor, type ResumeAction } from './executors/task-executor.js';
export { TaskHandler } from './executors/task-handler.decorator.js';
export type {
  AbortReason,
  ProgressDetails,
  TaskAnswer,
  TaskAttachment,
  TaskContext,
  TaskHandlerOptions,
  TaskRunner,
  TaskStream,
  WaitingOutcome,
} from './executors/task-handler.js';
export { createTaskBridgeMigrations, runTaskBridgeMigrations } from './migrations/index.js';
export { CompositeReadinessProbe } from './observability/composite-readiness.probe.js';
export {
  METRICS,
  MetricsSink,
  NoMetrics,
  type MetricDescription,
  type MetricLabels,
  type MetricName,
} from './observability/metrics-sink.js';
export { ReadinessProbe, type ReadinessCheck } from './observability/readiness-probe.js';
export {
  NoDiagnostics,
  TransportDiagnosticsSink,
  type StreamCloseReason,
  type StreamTransport,
  type TransportDiagnostic,
} from './observability/transport-diagnostics.js';
export {
  AuthContextResolver,
  DenyAllAuthContextResolver,
  type AuthContext,
  type AuthRequest,
  type RequestTransport,
} from './security/auth-context.js';
export { OwnerOnlyPolicy, OwnershipPolicy, type TaskAccess } from './security/ownership-policy.js';
export { requestAuth, requestTask, setRequestAuth, setRequestTask } from './security/request-context.js';
export { TaskAuthGuard } from './security/task-auth.guard.js';
export { TaskOwnershipGuard } from './security/task-ownership.guard.js';
export { TaskRequestAuthorizer } from './security/task-request-authorizer.js';
export { AllowUploads, UploadPolicy, type UploadDescription } from './security/upload-policy.js';
export type {
  CancelTaskCommand,
  CancelTaskResult,
  PollEventsQuery,
  PollEventsResult,
  SubmitActionCommand,
  SubmitActionResult,
  TaskCreateCommand,
  TaskCreatedResult,
} from './services/commands.js';
export { StreamTicketService, type TicketGrant } from './services/stream-ticket.service.js';
export { TaskActionService } from './services/task-action.service.js';
export { DeltaStream, type DeltaLimits, type TaskStreamOptions } from './services/delta-stream.js';
export { TaskAttempt, type ReportOptions, type TaskFailure } from './services/task-attempt.js';
export { TaskCancellationReconciliationService } from './services/task-cancellation-reconciliation.service.js';
export { TaskCancellationService } from './services/task-cancellation.service.js';
export { TaskCreationService, type CreateTaskOptions } from './services/task-creation.service.js';
export { TaskDeadlineService } from './services/task-deadline.service.js';
export { TaskDiagnosisService } from './services/task-diagnosis.service.js';
export { TaskPollingService } from './services/task-polling.service.js';
export { TaskQueryService, type ListTasksQuery } from './services/task-query.service.js';
export { TaskReporter } from './services/task-reporter.js';
export { type RetentionReport } from './services/retention-report.js';
export { TaskRetentionService, type RetentionRunOptions } from './services/task-retention.service.js';
export { TaskResumeReconciliationService } from './services/task-resume-reconciliation.service.js';
export { TaskResumeService } from './services/task-resume.service.js';
export { TaskScheduler } from './services/task-scheduler.js';
export { TaskSubmissionReconciliationService } from './services/task-submission-reconciliation.service.js';
export { WebSocketSubscriptionService } from './services/websocket-subscription.service.js';
export { ActionReceiptStore } from './stores/action-receipt.store.js';
export { AttachmentStore, type AttachmentUpload } from './stores/attachment.store.js';
export {
  EventStore,
  type AppendCommand,
  type AppendResult,
  type StoreOptions,
  type WaitOptions,
} from './stores/event.store.js';
export {
  HandoffState,
  SuspensionStatus,
  type AttachmentRecord,
  type HandoffRecord,
  type JsonObject,
  type LogEvent,
  type OnExpiry,
  type SuspensionRequest,
  type TaskActionReceipt,
  type TaskRecord,
  type TaskSuspensionRecord,
} from './stores/records.js';
export {
  SuspensionStore,
  type ActionDecision,
  type ActionOutcome,
  type ActionSubmission,
  type OpenSuspensionsCommand,
  type PendingResume,
} from './stores/suspension.store.js';
export {
  TaskRegistry,
  type CancellationRequest,
  type NewTask,
  type TaskCreation,
  type TaskHandoff,
  type TaskListQuery,
  type TaskListRow,
} from './stores/task-registry.js';
export { TaskEventStream, type FollowOptions } from './streams/task-event-stream.js';
export { WakeUps, type WakeUpHandlers, type WorkKind } from './streams/wake-ups.js';
export {
  TaskBridgeError,
  TaskFailedError,
  TaskRejectedError,
  type FieldProblem,
  type TaskBridgeErrorOptions,
  type TaskFailedErrorOptions,
} from './taskbridge.errors.js';
export { TaskBridgeLifecycle } from './taskbridge.lifecycle.js';
export { TaskBridgeModule } from './taskbridge.module.js';
export type {
  AppendSettings,
  ExecutionSettings,
  HttpRouteSettings,
  LogTrimSettings,
  ReconciliationSettings,
  RetentionSettings,
  ShutdownSettings,
  SseStreamSettings,
  StreamRuntimeSettings,
  StreamSettings,
  StreamTicketSettings,
  Supply,
  TaskBridgeAsyncOptions,
  TaskBridgeOptions,
  TaskBridgeOptionsFactory,
  TaskBridgeRuntimeOptions,
  TaskBridgeSettings,
  TaskBridgeStaticOptions,
  TaskBridgeSupplies,
  TaskRetentionSettings,
  WebSocketRouteSettings,
  WebSocketStreamSettings,
} from './taskbridge.options.js';
export { TASKBRIDGE_DATA_SOURCE, TASKBRIDGE_PROCESS_ID, TASKBRIDGE_SETTINGS } from './taskbridge.tokens.js';
