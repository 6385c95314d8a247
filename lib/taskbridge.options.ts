import type { CanActivate, InjectionToken, ModuleMetadata, OptionalFactoryDependency, Type } from '@nestjs/common';
import type { DataSourceOptions } from 'typeorm';
import type { TaskExecutor } from './executors/task-executor.js';
import type { MetricsSink } from './observability/metrics-sink.js';
import type { ReadinessProbe } from './observability/readiness-probe.js';
import type { TransportDiagnosticsSink } from './observability/transport-diagnostics.js';
import type { AuthContextResolver } from './security/auth-context.js';
import type { OwnershipPolicy } from './security/ownership-policy.js';
import type { UploadPolicy } from './security/upload-policy.js';
import type { TaskResumeService } from './services/task-resume.service.js';
import type { ActionReceiptStore } from './stores/action-receipt.store.js';
import type { AttachmentStore } from './stores/attachment.store.js';
import type { EventStore } from './stores/event.store.js';
import type { SuspensionStore } from './stores/suspension.store.js';
import type { TaskRegistry } from './stores/task-registry.js';

/** A class, or how to get an instance: the three custom-provider shapes of Nest. */
export type Supply<T> =
  | Type<T>
  | { useClass: Type<T> }
  | { useExisting: InjectionToken }
  | {
      useFactory: (...args: never[]) => T | Promise<T>;
      inject?: (InjectionToken | OptionalFactoryDependency)[];
    };

export interface HttpRouteSettings {
  /** Collection path; the other task routes hang below it. @default '/api/v1/tasks' */
  tasksPath: string;
  /** @default '/health'; `false` leaves the path to the host */
  healthPath: string | false;
  /** @default '/ready'; `false` leaves the path to the host */
  readyPath: string | false;
  /** Size of all files of one create together, in bytes. @default 10 MiB */
  maxUploadBytes: number;
  /** @default 1 MiB */
  maxJsonBytes: number;
  /** Number of files in one create. @default 16 */
  maxUploadFiles: number;
  /** Media types such as `text/csv` or `image/*`; `undefined` accepts every type. @default undefined */
  allowedUploadContentTypes: readonly string[] | undefined;
  /** Nesting of `input`, `metadata` and answers. @default 32 */
  maxPayloadDepth: number;
}

export interface WebSocketRouteSettings {
  /** Literal path, without parameters and outside any global prefix. @default '/api/v1/tasks/ws' */
  path: string;
  /** Largest frame a client may send, in bytes; larger closes 1009. @default 16 KiB */
  maxFrameBytes: number;
  /**
   * A socket that has not subscribed by then is closed 1013, in ms. What the guards have to decide, at the upgrade and
   * at each subscribe, may take as long; what they leave undecided is ended as retryable. @default 10 000
   */
  subscribeTimeoutMs: number;
  /** Tasks one multiplexed connection may follow at a time; any other follows one. @default 100 */
  maxSubscriptionsPerConnection: number;
  /** `Origin` values that browsers may connect from; `undefined` accepts any, `[]` none. @default same host only */
  allowedOrigins: readonly string[] | 'same-host' | 'any';
}

export interface StreamSettings {
  /** Rows per read while catching up. @default 500 */
  replayBatchSize: number;
  /** Events per write while live. @default 500 */
  liveBatchSize: number;
  /** Idle time until a heartbeat, in ms. @default 15 000 */
  heartbeatIntervalMs: number;
  /** A follower whose socket takes nothing for this long is closed with a retryable code, in ms. @default 30 000 */
  stallTimeoutMs: number;
}

export interface SseStreamSettings extends StreamSettings {
  /** Comment line per heartbeat interval, for proxies. @default true */
  commentPing: boolean;
  /** `HEARTBEAT` data frame per heartbeat interval, for clients that cannot see comments. @default true */
  jsonHeartbeat: boolean;
  /** Comment padding sent first, for proxies that buffer a minimum. @default 0 */
  preambleBytes: number;
}

export interface WebSocketStreamSettings extends StreamSettings {
  /** Close code for a bad frame, an unknown or foreign task, a bad cursor. @default 1008 */
  refusedCloseCode: number;
  /** Close code after the terminal event. @default 1000 */
  endCloseCode: number;
}

export interface StreamRuntimeSettings {
  sse: SseStreamSettings;
  webSocket: WebSocketStreamSettings;
  /** Long poll. @default 25 000 */
  pollWaitTimeoutMs: number;
  /** Events kept in memory per watched task so that followers share one read and one serialisation. @default 1 024 */
  tailEvents: number;
  /** At most this many bytes of them. @default 1 MiB */
  tailBytes: number;
  /** Backstop: watched tasks are compared with the database this often, in ms. @default 3 000 */
  backstopPollMs: number;
  /** The same while notifications do not arrive. @default 500 */
  deafPollMs: number;
  /** `ids` keeps payloads out of notifications, for a database that other roles can listen on. @default 'inline' */
  notify: 'inline' | 'ids';
}

export interface AppendSettings {
  /** Appends per flush. @default 500 */
  maxFlushEvents: number;
  /** @default 256 KiB */
  maxFlushBytes: number;
  /**
   * Appends in line; past it callers wait to enqueue. Those of a task whose row somebody holds wait beside the line,
   * where they take nobody's room: as many of each such task, and past it they are refused. @default 10 000
   */
  maxQueued: number;
  /** A flush waits this long for a row that somebody else holds, then goes on without that task, in ms. @default 300 */
  lockTimeoutMs: number;
  /** Largest event payload, as JSON bytes. @default 64 KiB */
  maxPayloadBytes: number;
}

export interface ExecutionSettings {
  /** Runs at a time in this process, per task type without a limit of its own. @default 16 */
  concurrency: number;
  /** A process that has not renewed its lease for this long is considered dead, in ms (at least 1 000). @default 15 000 */
  leaseMs: number;
  /** @default a third of `leaseMs` */
  heartbeatMs: number;
  /** A cancelled run that has not ended by then is fenced and its task ended CANCELLED, in ms. @default 10 000 */
  cancelGraceMs: number;
}

export interface ReconciliationSettings {
  /** `false` for hosts that call the services from their own scheduler. @default true */
  enabled: boolean;
  /** Pause between rounds, in ms; each is jittered. @default 1 000 */
  intervalMs: number;
  /** Hand-offs, expiries and reclaims taken in one round. @default 50 */
  batchSize: number;
  /** Limit of one call into the executor, in ms. @default 10 000 */
  dispatchTimeoutMs: number;
  /** How long a creator or claimer holds a hand-off before others may take it, in ms. @default 30 000 */
  claimMs: number;
  /** Deliveries tried before the task is ended by an event. @default 10 */
  maxAttempts: number;
  /** First pause after a failed delivery, in ms; doubled each time, jittered. @default 1 000 */
  backoffMs: number;
  /** @default 60 000 */
  maxBackoffMs: number;
}

export interface StreamTicketSettings {
  /** How long a ticket may wait to be presented, in ms on the database's clock. @default 30 000 */
  ttlMs: number;
}

export interface TaskRetentionSettings {
  /** Finished tasks are deleted this long after their end, in ms; `false` keeps them. @default false */
  olderThanMs: number | false;
  /** The same for single task types; `false` keeps the type whatever `olderThanMs` says. @default {} */
  byType: Readonly<Record<string, number | false>>;
}

export interface LogTrimSettings {
  /**
   * Logs of tasks that ended this long ago are cut down to `keepEvents`, in ms; `false` keeps them whole. With
   * `openTasks` it is the age of an event of a running task as well, and at least a minute. @default false
   */
  olderThanMs: number | false;
  /** The newest events of a task that are never trimmed; at least 1, so the terminal event always stays. @default 1 000 */
  keepEvents: number;
  /**
   * Trims logs of tasks that have not ended, never past an open question. What is trimmed cannot be recognised as
   * appended before: a producer's `appendId` must not be repeated after `olderThanMs`. @default false
   */
  openTasks: boolean;
}

/** What is deleted, and when. Ages count from the end of the task on the database's clock. */
export interface RetentionSettings {
  /** `false`: nothing is deleted unless the host calls `TaskRetentionService.run`. @default true */
  enabled: boolean;
  /**
   * Whole tasks with their events, questions, answers and files. Once a task is gone its `clientRequestId` is free: the
   * same create makes a new task. Choose an age that no client's retry reaches.
   */
  tasks: TaskRetentionSettings;
  /**
   * Receipts of answers, `false` keeps them with their task. A repeat of an answer is recognised while its receipt is
   * there. @default 30 days
   */
  receiptsOlderThanMs: number | false;
  /** Questions, `false` keeps them with their task. @default 30 days */
  suspensionsOlderThanMs: number | false;
  trim: LogTrimSettings;
  /** Pause between the starts of two runs in one process, in ms. @default 3 600 000 */
  intervalMs: number;
  /** Rows that one statement deletes, about, and tasks that one statement looks at; at most 5 000. @default 2 000 */
  batchSize: number;
  /** Pause after each statement that deleted something, in ms. @default 100 */
  pauseMs: number;
}

export interface ShutdownSettings {
  /** Streams are closed over this window, each at a random moment of it, in ms. @default 2 000 */
  drainWindowMs: number;
  /** Limit for running handlers to end after their signal, in ms. @default 10 000 */
  runTimeoutMs: number;
  /**
   * Limit for the whole shutdown, from the first hook to the last, in ms. Within it, requests that do not end lose their
   * connection, runs get at most half of it, and what the database does not take is given up. @default 20 000
   */
  timeoutMs: number;
}

/** The settings with their defaults filled in; what services receive. */
export interface TaskBridgeSettings {
  http: HttpRouteSettings;
  webSocket: WebSocketRouteSettings;
  streams: StreamRuntimeSettings;
  append: AppendSettings;
  execution: ExecutionSettings;
  reconciliation: ReconciliationSettings;
  retention: RetentionSettings;
  tickets: StreamTicketSettings;
  shutdown: ShutdownSettings;
  /** Connection options of the lane and the listener where the DataSource's pool goes through PgBouncer. */
  direct: Partial<Pick<Extract<DataSourceOptions, { type: 'postgres' }>, 'host' | 'port' | 'url'>> | undefined;
  /** Replaces the process name in logs and in the table of processes. @default the host name */
  instanceName: string;
}

type PartialSettings<T> = {
  [K in keyof T]?: T[K] extends readonly unknown[] | undefined
    ? T[K]
    : T[K] extends object
      ? PartialSettings<T[K]>
      : T[K];
};

/** What may come from `forRootAsync`'s factory: tuning that no provider or route is built from. */
export type TaskBridgeRuntimeOptions = PartialSettings<
  Omit<TaskBridgeSettings, 'http' | 'webSocket'> & {
    http: Omit<HttpRouteSettings, 'tasksPath' | 'healthPath' | 'readyPath' | 'maxJsonBytes'>;
    webSocket: Omit<WebSocketRouteSettings, 'path' | 'maxFrameBytes'>;
  }
>;

/** Names of classes the host brings; each falls back to the library's default. */
export interface TaskBridgeSupplies {
  /** @default `HandlerTaskExecutor`, which runs `@TaskHandler` classes of the host's modules */
  executor?: Supply<TaskExecutor>;
  /** @default one that calls the executor's `resumeTask` */
  resumeService?: Supply<TaskResumeService>;
  /** @default none: every request is answered 401 */
  authContextResolver?: Supply<AuthContextResolver>;
  /** @default the owner only */
  ownershipPolicy?: Supply<OwnershipPolicy>;
  uploadPolicy?: Supply<UploadPolicy>;
  metricsSink?: Supply<MetricsSink>;
  diagnosticsSink?: Supply<TransportDiagnosticsSink>;
  /** Checked beside the library's own probes. */
  readinessProbe?: Supply<ReadinessProbe>;
  /** Run for HTTP, SSE and WebSocket alike. @default `TaskAuthGuard` and `TaskOwnershipGuard` */
  guards?: { auth?: Supply<CanActivate>; ownership?: Supply<CanActivate> };
  stores?: {
    attachments?: Supply<AttachmentStore>;
    /** One set: they share a transaction. */
    log?: {
      registry: Supply<TaskRegistry>;
      events: Supply<EventStore>;
      suspensions: Supply<SuspensionStore>;
      receipts: Supply<ActionReceiptStore>;
    };
  };
}

/** Fixed when the module is defined: which DataSource, which routes, what is mounted. */
export interface TaskBridgeStaticOptions extends TaskBridgeSupplies {
  /** Name of the host's TypeORM DataSource. @default the default one */
  dataSource?: string;
  /** Exports the module's providers to every module. @default false */
  isGlobal?: boolean;
  /** Routes and HTTP limits; `false` mounts no controllers. */
  http?: Partial<HttpRouteSettings> | false;
  /** `false` mounts no gateway and needs no WebSocket adapter. */
  webSocket?: Partial<WebSocketRouteSettings> | false;
  /** How `HandlerTaskExecutor` runs tasks; `false`: this process accepts and serves tasks but runs none. */
  execution?: Partial<ExecutionSettings> | false;
  /** Runs the migrations at boot under an advisory lock; several instances may boot at once. @default false */
  runMigrations?: boolean;
  /** Put on every controller, for example the host's own `@Public()`. */
  controllerDecorators?: readonly ClassDecorator[];
  /** Modules whose exports the supplied classes inject. */
  imports?: ModuleMetadata['imports'];
}

export type TaskBridgeOptions = TaskBridgeStaticOptions &
  Omit<TaskBridgeRuntimeOptions, 'http' | 'webSocket' | 'execution'>;

export interface TaskBridgeOptionsFactory {
  createTaskBridgeOptions(): TaskBridgeRuntimeOptions | Promise<TaskBridgeRuntimeOptions>;
}

export interface TaskBridgeAsyncOptions extends TaskBridgeStaticOptions {
  useFactory?: (...args: never[]) => TaskBridgeRuntimeOptions | Promise<TaskBridgeRuntimeOptions>;
  useClass?: Type<TaskBridgeOptionsFactory>;
  useExisting?: InjectionToken<TaskBridgeOptionsFactory>;
  inject?: (InjectionToken | OptionalFactoryDependency)[];
}
