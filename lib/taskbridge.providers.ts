import type { Provider, Type } from '@nestjs/common';
import { HttpConnections } from './controllers/http-connections.js';
import { HANDLER_EXECUTOR_PROVIDERS } from './executors/handler-executor.providers.js';
import { HandlerTaskExecutor } from './executors/handler-task-executor.js';
import { TaskExecutor } from './executors/task-executor.js';
import { CompositeReadinessProbe } from './observability/composite-readiness.probe.js';
import { HEALTH_PROVIDERS } from './observability/health.providers.js';
import { MetricsSink, NoMetrics } from './observability/metrics-sink.js';
import { ReadinessProbe } from './observability/readiness-probe.js';
import { NoDiagnostics, TransportDiagnosticsSink } from './observability/transport-diagnostics.js';
import { AuthContextResolver, DenyAllAuthContextResolver } from './security/auth-context.js';
import { OwnerOnlyPolicy, OwnershipPolicy } from './security/ownership-policy.js';
import { TaskAuthGuard } from './security/task-auth.guard.js';
import { TaskOwnershipGuard } from './security/task-ownership.guard.js';
import { TaskRequestAuthorizer } from './security/task-request-authorizer.js';
import { AllowUploads, UploadPolicy } from './security/upload-policy.js';
import { BackgroundWork } from './services/background-work.js';
import { EventGapService } from './services/event-gap.service.js';
import { ExecutorTaskResumeService } from './services/executor-task-resume.service.js';
import { HandoffDispatcher } from './services/handoff-dispatcher.js';
import { StreamTicketService } from './services/stream-ticket.service.js';
import { TaskActionService } from './services/task-action.service.js';
import { TaskCancellationReconciliationService } from './services/task-cancellation-reconciliation.service.js';
import { TaskCancellationService } from './services/task-cancellation.service.js';
import { TaskCreationService } from './services/task-creation.service.js';
import { TaskDeadlineService } from './services/task-deadline.service.js';
import { TaskDiagnosisService } from './services/task-diagnosis.service.js';
import { TaskPollingService } from './services/task-polling.service.js';
import { TaskQueryService } from './services/task-query.service.js';
import { TaskReporter } from './services/task-reporter.js';
import { TaskResumeReconciliationService } from './services/task-resume-reconciliation.service.js';
import { TaskResumeService } from './services/task-resume.service.js';
import { TaskRetentionService } from './services/task-retention.service.js';
import { TaskScheduler } from './services/task-scheduler.js';
import { TaskSubmissionReconciliationService } from './services/task-submission-reconciliation.service.js';
import { WebSocketSubscriptionService } from './services/websocket-subscription.service.js';
import { ActionReceiptStore } from './stores/action-receipt.store.js';
import { AfterCommit } from './stores/after-commit.js';
import { AnswerSchemas } from './stores/answer-schemas.js';
import { AppendLane } from './stores/append-lane.js';
import { AttachmentStore } from './stores/attachment.store.js';
import { EventStore } from './stores/event.store.js';
import { PostgresAttachmentStore } from './stores/postgres-attachment.store.js';
import { StreamTicketStore } from './stores/stream-ticket.store.js';
import { SuspensionStore } from './stores/suspension.store.js';
import { TaskLeaseStore } from './stores/task-lease.store.js';
import { TaskRegistry } from './stores/task-registry.js';
import { TaskRunStore } from './stores/task-run.store.js';
import { TaskRetentionStore } from './stores/task-retention.store.js';
import { TypeOrmActionReceiptStore } from './stores/typeorm-action-receipt.store.js';
import { TypeOrmEventStore } from './stores/typeorm-event.store.js';
import { TypeOrmSuspensionStore } from './stores/typeorm-suspension.store.js';
import { TypeOrmTaskRegistry } from './stores/typeorm-task-registry.js';
import { STREAM_PROVIDERS } from './streams/index.js';
import { TaskEventStream } from './streams/task-event-stream.js';
import { WakeUps } from './streams/wake-ups.js';
import { TaskBridgeLifecycle } from './taskbridge.lifecycle.js';
import type { Supply, TaskBridgeStaticOptions } from './taskbridge.options.js';

/** The stores, the host's or the library's. The four of the log come as one set, because they share a transaction. */
export function storeProviders({ stores = {} }: TaskBridgeStaticOptions): Provider[] {
  const { log, attachments } = stores;
  if (log !== undefined && !(log.registry && log.events && log.suspensions && log.receipts)) {
    throw new Error('TaskBridgeModule: stores.log needs registry, events, suspensions and receipts: they are one set');
  }
  return [
    AfterCommit,
    AppendLane,
    AnswerSchemas,
    TaskLeaseStore,
    TaskRunStore,
    StreamTicketStore,
    // A host that keeps the log itself deletes from it itself.
    ...(log === undefined ? [TaskRetentionStore] : []),
    supply(TaskRegistry, log?.registry ?? TypeOrmTaskRegistry),
    supply(EventStore, log?.events ?? TypeOrmEventStore),
    supply(SuspensionStore, log?.suspensions ?? TypeOrmSuspensionStore),
    supply(ActionReceiptStore, log?.receipts ?? TypeOrmActionReceiptStore),
    supply(AttachmentStore, attachments ?? PostgresAttachmentStore),
  ];
}

/** What a host may bring, each with its default. */
export function hostProviders(options: TaskBridgeStaticOptions): Provider[] {
  return [
    supply(AuthContextResolver, options.authContextResolver ?? DenyAllAuthContextResolver),
    supply(OwnershipPolicy, options.ownershipPolicy ?? OwnerOnlyPolicy),
    supply(UploadPolicy, options.uploadPolicy ?? AllowUploads),
    supply(MetricsSink, options.metricsSink ?? NoMetrics),
    supply(TransportDiagnosticsSink, options.diagnosticsSink ?? NoDiagnostics),
    supply(TaskAuthGuard, options.guards?.auth ?? TaskAuthGuard),
    supply(TaskOwnershipGuard, options.guards?.ownership ?? TaskOwnershipGuard),
    supply(TaskResumeService, options.resumeService ?? ExecutorTaskResumeService),
    ...(options.readinessProbe === undefined ? [] : [supply(ReadinessProbe, options.readinessProbe)]),
  ];
}

/** The library's own parts. */
export function serviceProviders(options: TaskBridgeStaticOptions): Provider[] {
  return [
    TaskRequestAuthorizer,
    BackgroundWork,
    HandoffDispatcher,
    TaskCreationService,
    TaskCancellationService,
    TaskActionService,
    TaskQueryService,
    TaskDiagnosisService,
    TaskPollingService,
    EventGapService,
    TaskReporter,
    WebSocketSubscriptionService,
    StreamTicketService,
    TaskSubmissionReconciliationService,
    TaskResumeReconciliationService,
    TaskCancellationReconciliationService,
    TaskDeadlineService,
    TaskRetentionService,
    TaskScheduler,
    HttpConnections,
    TaskBridgeLifecycle,
    ...STREAM_PROVIDERS,
    ...HEALTH_PROVIDERS,
    ...executorProviders(options),
  ];
}

function executorProviders({ execution, executor }: TaskBridgeStaticOptions): Provider[] {
  if (execution === false) return [];
  if (executor !== undefined) return [supply(TaskExecutor, executor)];
  return [...HANDLER_EXECUTOR_PROVIDERS, { provide: TaskExecutor, useExisting: HandlerTaskExecutor }];
}

/** What hosts inject. */
export function exportedTokens({ execution }: TaskBridgeStaticOptions): (Type | typeof TaskRegistry)[] {
  return [
    TaskRegistry,
    EventStore,
    SuspensionStore,
    ActionReceiptStore,
    AttachmentStore,
    TaskCreationService,
    TaskCancellationService,
    TaskActionService,
    TaskQueryService,
    TaskDiagnosisService,
    TaskPollingService,
    TaskReporter,
    TaskEventStream,
    TaskResumeService,
    TaskSubmissionReconciliationService,
    TaskResumeReconciliationService,
    TaskCancellationReconciliationService,
    TaskDeadlineService,
    TaskRetentionService,
    TaskScheduler,
    WebSocketSubscriptionService,
    StreamTicketService,
    TaskBridgeLifecycle,
    WakeUps,
    AuthContextResolver,
    OwnershipPolicy,
    UploadPolicy,
    MetricsSink,
    TransportDiagnosticsSink,
    TaskAuthGuard,
    TaskOwnershipGuard,
    TaskRequestAuthorizer,
    CompositeReadinessProbe,
    ...(execution === false ? [] : [TaskExecutor]),
  ] as (Type | typeof TaskRegistry)[];
}

function supply<T>(token: abstract new (...args: never[]) => T, source: Supply<T>): Provider {
  if (typeof source === 'function') return { provide: token, useClass: source };
  return { provide: token, ...source } as Provider;
}
