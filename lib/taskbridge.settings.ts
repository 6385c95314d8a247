import { hostname } from 'node:os';
import type {
  HttpRouteSettings,
  RetentionSettings,
  TaskBridgeRuntimeOptions,
  TaskBridgeSettings,
  TaskBridgeStaticOptions,
  WebSocketRouteSettings,
} from './taskbridge.options.js';

const KIB = 1024;
const MIB = 1024 * KIB;
const DAY_MS = 86_400_000;

const HTTP_DEFAULTS: HttpRouteSettings = {
  tasksPath: '/api/v1/tasks',
  healthPath: '/health',
  readyPath: '/ready',
  maxUploadBytes: 10 * MIB,
  maxJsonBytes: MIB,
  maxUploadFiles: 16,
  allowedUploadContentTypes: undefined,
  maxPayloadDepth: 32,
};

const WEB_SOCKET_DEFAULTS: WebSocketRouteSettings = {
  path: '/api/v1/tasks/ws',
  maxFrameBytes: 16 * KIB,
  subscribeTimeoutMs: 10_000,
  maxSubscriptionsPerConnection: 100,
  allowedOrigins: 'same-host',
};

const STREAM_DEFAULTS = {
  replayBatchSize: 500,
  liveBatchSize: 500,
  heartbeatIntervalMs: 15_000,
  stallTimeoutMs: 30_000,
};

/** Fills in the defaults and refuses values that cannot work; called once per module. */
export function resolveSettings(
  fixed: TaskBridgeStaticOptions,
  runtime: TaskBridgeRuntimeOptions = {},
): TaskBridgeSettings {
  const execution = { ...defined(fixed.execution === false ? {} : fixed.execution), ...defined(runtime.execution) };
  const leaseMs = execution.leaseMs ?? 15_000;
  const settings: TaskBridgeSettings = {
    http: resolveHttpRoutes(fixed, runtime.http),
    webSocket: resolveWebSocketRoutes(fixed, runtime.webSocket),
    streams: {
      pollWaitTimeoutMs: 25_000,
      tailEvents: 1_024,
      tailBytes: MIB,
      backstopPollMs: 3_000,
      deafPollMs: 500,
      notify: 'inline',
      ...defined(runtime.streams),
      sse: {
        ...STREAM_DEFAULTS,
        commentPing: true,
        jsonHeartbeat: true,
        preambleBytes: 0,
        ...defined(runtime.streams?.sse),
      },
      webSocket: {
        ...STREAM_DEFAULTS,
        refusedCloseCode: 1008,
        endCloseCode: 1000,
        ...defined(runtime.streams?.webSocket),
      },
    },
    append: {
      maxFlushEvents: 500,
      maxFlushBytes: 256 * KIB,
      maxQueued: 10_000,
      lockTimeoutMs: 300,
      maxPayloadBytes: 64 * KIB,
      ...defined(runtime.append),
    },
    execution: {
      concurrency: 16,
      leaseMs,
      heartbeatMs: Math.floor(leaseMs / 3),
      cancelGraceMs: 10_000,
      ...execution,
    },
    reconciliation: {
      enabled: true,
      intervalMs: 1_000,
      batchSize: 50,
      dispatchTimeoutMs: 10_000,
      claimMs: 30_000,
      maxAttempts: 10,
      backoffMs: 1_000,
      maxBackoffMs: 60_000,
      ...defined(runtime.reconciliation),
    },
    retention: resolveRetention(runtime.retention),
    tickets: { ttlMs: 30_000, ...defined(runtime.tickets) },
    shutdown: { drainWindowMs: 2_000, runTimeoutMs: 10_000, timeoutMs: 20_000, ...defined(runtime.shutdown) },
    direct: runtime.direct,
    instanceName: runtime.instanceName ?? hostname(),
  };
  assertSettings(settings);
  return settings;
}

function resolveRetention({
  tasks,
  trim,
  ...retention
}: TaskBridgeRuntimeOptions['retention'] = {}): RetentionSettings {
  const byType = defined(tasks?.byType) as RetentionSettings['tasks']['byType'];
  return {
    enabled: true,
    receiptsOlderThanMs: 30 * DAY_MS,
    suspensionsOlderThanMs: 30 * DAY_MS,
    intervalMs: 3_600_000,
    batchSize: 2_000,
    pauseMs: 100,
    ...defined(retention),
    tasks: { olderThanMs: false, ...defined(tasks), byType },
    trim: { olderThanMs: false, keepEvents: 1_000, openTasks: false, ...defined(trim) },
  };
}

/** The routes of a module definition; known before any provider exists. */
export function resolveHttpRoutes(
  fixed: TaskBridgeStaticOptions,
  runtime: TaskBridgeRuntimeOptions['http'] = {},
): HttpRouteSettings {
  return { ...HTTP_DEFAULTS, ...defined(fixed.http === false ? {} : fixed.http), ...defined(runtime) };
}

/** The WebSocket route of a module definition. */
export function resolveWebSocketRoutes(
  fixed: TaskBridgeStaticOptions,
  runtime: TaskBridgeRuntimeOptions['webSocket'] = {},
): WebSocketRouteSettings {
  return { ...WEB_SOCKET_DEFAULTS, ...defined(fixed.webSocket === false ? {} : fixed.webSocket), ...defined(runtime) };
}

/** An option that is present but `undefined` means its default, as if it were absent. */
function defined<T extends object>(options: T | undefined): T {
  return Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as T;
}

const POSITIVE_NUMBERS: ReadonlyArray<[string, (settings: TaskBridgeSettings) => number]> = [
  ['http.maxUploadBytes', (s) => s.http.maxUploadBytes],
  ['http.maxJsonBytes', (s) => s.http.maxJsonBytes],
  ['http.maxUploadFiles', (s) => s.http.maxUploadFiles],
  ['http.maxPayloadDepth', (s) => s.http.maxPayloadDepth],
  ['webSocket.maxFrameBytes', (s) => s.webSocket.maxFrameBytes],
  ['webSocket.subscribeTimeoutMs', (s) => s.webSocket.subscribeTimeoutMs],
  ['webSocket.maxSubscriptionsPerConnection', (s) => s.webSocket.maxSubscriptionsPerConnection],
  ['streams.sse.replayBatchSize', (s) => s.streams.sse.replayBatchSize],
  ['streams.sse.liveBatchSize', (s) => s.streams.sse.liveBatchSize],
  ['streams.sse.heartbeatIntervalMs', (s) => s.streams.sse.heartbeatIntervalMs],
  ['streams.sse.stallTimeoutMs', (s) => s.streams.sse.stallTimeoutMs],
  ['streams.webSocket.replayBatchSize', (s) => s.streams.webSocket.replayBatchSize],
  ['streams.webSocket.liveBatchSize', (s) => s.streams.webSocket.liveBatchSize],
  ['streams.webSocket.heartbeatIntervalMs', (s) => s.streams.webSocket.heartbeatIntervalMs],
  ['streams.webSocket.stallTimeoutMs', (s) => s.streams.webSocket.stallTimeoutMs],
  ['streams.tailEvents', (s) => s.streams.tailEvents],
  ['streams.tailBytes', (s) => s.streams.tailBytes],
  ['streams.backstopPollMs', (s) => s.streams.backstopPollMs],
  ['streams.deafPollMs', (s) => s.streams.deafPollMs],
  ['append.maxFlushEvents', (s) => s.append.maxFlushEvents],
  ['append.maxFlushBytes', (s) => s.append.maxFlushBytes],
  ['append.maxQueued', (s) => s.append.maxQueued],
  ['append.lockTimeoutMs', (s) => s.append.lockTimeoutMs],
  ['append.maxPayloadBytes', (s) => s.append.maxPayloadBytes],
  ['execution.concurrency', (s) => s.execution.concurrency],
  ['execution.heartbeatMs', (s) => s.execution.heartbeatMs],
  ['execution.cancelGraceMs', (s) => s.execution.cancelGraceMs],
  ['reconciliation.intervalMs', (s) => s.reconciliation.intervalMs],
  ['reconciliation.batchSize', (s) => s.reconciliation.batchSize],
  ['reconciliation.dispatchTimeoutMs', (s) => s.reconciliation.dispatchTimeoutMs],
  ['reconciliation.claimMs', (s) => s.reconciliation.claimMs],
  ['reconciliation.maxAttempts', (s) => s.reconciliation.maxAttempts],
  ['reconciliation.backoffMs', (s) => s.reconciliation.backoffMs],
  ['tickets.ttlMs', (s) => s.tickets.ttlMs],
  ['shutdown.timeoutMs', (s) => s.shutdown.timeoutMs],
  ['retention.intervalMs', (s) => s.retention.intervalMs],
  ['retention.batchSize', (s) => s.retention.batchSize],
  ['retention.trim.keepEvents', (s) => s.retention.trim.keepEvents],
];

function assertSettings(settings: TaskBridgeSettings): void {
  for (const [name, read] of POSITIVE_NUMBERS) {
    if (!(Number.isFinite(read(settings)) && read(settings) > 0)) refuse(name, 'must be a positive number');
  }
  const { execution, reconciliation, http, webSocket } = settings;
  if (!(execution.leaseMs >= 1_000)) refuse('execution.leaseMs', 'must be at least 1000');
  if (execution.heartbeatMs * 2 > execution.leaseMs) {
    refuse('execution.heartbeatMs', 'must be at most half of execution.leaseMs, or one late beat loses the lease');
  }
  if (reconciliation.claimMs < reconciliation.dispatchTimeoutMs) {
    refuse('reconciliation.claimMs', 'must not be smaller than reconciliation.dispatchTimeoutMs');
  }
  assertRetention(settings.retention);
  assertDirect(settings.direct);
  if (!http.tasksPath.startsWith('/')) refuse('http.tasksPath', 'must start with "/"');
  if (!/^\/[^:*]*$/.test(webSocket.path)) {
    refuse('webSocket.path', 'must be a literal path that starts with "/", without parameters');
  }
}

const DIRECT = ['host', 'port', 'url'];

function assertDirect(direct: TaskBridgeSettings['direct']): void {
  if (direct === undefined) return;
  const names = Object.keys(direct);
  if (names.length === 0) refuse('direct', 'must have a host, a port or a url');
  const unknown = names.find((name) => !DIRECT.includes(name));
  if (unknown !== undefined) refuse(`direct.${unknown}`, 'is none of host, port and url');
}

/** The lane sends an append again for up to half a minute, and has to find it in the log then. */
const MIN_OPEN_EVENT_AGE_MS = 60_000;

/** More at a time, and appends beside it wait noticeably. */
const MAX_ROWS_PER_DELETE = 5_000;

function assertRetention({ tasks, trim, batchSize, ...retention }: RetentionSettings): void {
  const ages: Record<string, number | false> = {
    'tasks.olderThanMs': tasks.olderThanMs,
    ...Object.fromEntries(Object.entries(tasks.byType).map(([type, age]) => [`tasks.byType["${type}"]`, age])),
    receiptsOlderThanMs: retention.receiptsOlderThanMs,
    suspensionsOlderThanMs: retention.suspensionsOlderThanMs,
    'trim.olderThanMs': trim.olderThanMs,
    pauseMs: retention.pauseMs,
  };
  for (const [name, age] of Object.entries(ages)) {
    if (age !== false && !(Number.isFinite(age) && age >= 0)) {
      refuse(`retention.${name}`, 'must be a number of milliseconds that is not negative');
    }
  }
  if (!(Number.isInteger(batchSize) && batchSize <= MAX_ROWS_PER_DELETE)) {
    refuse('retention.batchSize', `must be an integer of at most ${MAX_ROWS_PER_DELETE}`);
  }
  if (!Number.isInteger(trim.keepEvents)) refuse('retention.trim.keepEvents', 'must be an integer');
  if (trim.openTasks && trim.olderThanMs !== false && trim.olderThanMs < MIN_OPEN_EVENT_AGE_MS) {
    refuse('retention.trim.olderThanMs', `must be at least ${MIN_OPEN_EVENT_AGE_MS} with retention.trim.openTasks`);
  }
}

function refuse(name: string, problem: string): never {
  throw new Error(`TaskBridgeModule: option ${name} ${problem}`);
}
