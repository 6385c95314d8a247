import type { DynamicModule, FactoryProvider } from '@nestjs/common';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import type { TaskBridgeSettings } from '../../lib/taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../../lib/taskbridge.tokens.js';

const STREAM = { replayBatchSize: 1, liveBatchSize: 2, heartbeatIntervalMs: 3, stallTimeoutMs: 4 };

/** Every setting, and none as it is by default. */
const SETTINGS: TaskBridgeSettings = {
  http: {
    tasksPath: '/tasks',
    healthPath: '/up',
    readyPath: false,
    maxUploadBytes: 1,
    maxJsonBytes: 2,
    maxUploadFiles: 3,
    allowedUploadContentTypes: ['text/csv'],
    maxPayloadDepth: 4,
  },
  webSocket: {
    path: '/ws',
    maxFrameBytes: 1,
    subscribeTimeoutMs: 2,
    maxSubscriptionsPerConnection: 3,
    allowedOrigins: 'any',
  },
  streams: {
    sse: { ...STREAM, commentPing: false, jsonHeartbeat: false, preambleBytes: 5 },
    webSocket: { ...STREAM, refusedCloseCode: 4001, endCloseCode: 4000 },
    pollWaitTimeoutMs: 1,
    tailEvents: 2,
    tailBytes: 3,
    backstopPollMs: 4,
    deafPollMs: 5,
    notify: 'ids',
  },
  append: { maxFlushEvents: 1, maxFlushBytes: 2, maxQueued: 3, lockTimeoutMs: 4, maxPayloadBytes: 5 },
  execution: { concurrency: 1, leaseMs: 2_000, heartbeatMs: 2, cancelGraceMs: 3 },
  reconciliation: {
    enabled: false,
    intervalMs: 1,
    batchSize: 2,
    dispatchTimeoutMs: 3,
    claimMs: 4,
    maxAttempts: 5,
    backoffMs: 6,
    maxBackoffMs: 7,
  },
  retention: {
    enabled: false,
    tasks: { olderThanMs: 1, byType: { x: 2 } },
    receiptsOlderThanMs: 3,
    suspensionsOlderThanMs: false,
    trim: { olderThanMs: 60_000, keepEvents: 1, openTasks: true },
    intervalMs: 4,
    batchSize: 5,
    pauseMs: 6,
  },
  tickets: { ttlMs: 1 },
  shutdown: { drainWindowMs: 1, runTimeoutMs: 2, timeoutMs: 3 },
  direct: { host: 'db', port: 1, url: 'postgres://db' },
  instanceName: 'one',
};

/** What the module's services are given. */
async function settingsOf({ providers = [] }: DynamicModule): Promise<TaskBridgeSettings> {
  const isOfSettings = (provider: unknown) => (provider as { provide?: unknown }).provide === TASKBRIDGE_SETTINGS;
  const provider = providers.find(isOfSettings) as FactoryProvider<TaskBridgeSettings>;
  return provider.useFactory();
}

/** The values by their paths. */
function leavesOf(value: unknown, path = ''): [path: string, value: unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, member]) => leavesOf(member, `${path}.${name}`));
}

describe('the settings of the module', () => {
  const { http, webSocket, execution, ...tuning } = SETTINGS;
  const { tasksPath, healthPath, readyPath, maxJsonBytes, ...httpLimits } = http;
  const { path, maxFrameBytes, ...socketLimits } = webSocket;

  it('are those that forRoot is given, every one', async () => {
    expect(await settingsOf(TaskBridgeModule.forRoot(SETTINGS))).toEqual(SETTINGS);
  });

  it('are those of the factory of forRootAsync and those beside it, every one', async () => {
    const beside = { http: { tasksPath, healthPath, readyPath, maxJsonBytes }, webSocket: { path, maxFrameBytes } };
    const useFactory = () => ({ ...tuning, execution, http: httpLimits, webSocket: socketLimits });
    expect(await settingsOf(TaskBridgeModule.forRootAsync({ ...beside, useFactory }))).toEqual(SETTINGS);
  });

  it('may be given beside the factory where forRootAsync takes them there', async () => {
    const settings = await settingsOf(
      TaskBridgeModule.forRootAsync({ http, webSocket, execution, useFactory: () => tuning }),
    );
    expect(settings).toEqual(SETTINGS);
  });

  it('have other values here than by default', async () => {
    const defaults = new Map(leavesOf(await settingsOf(TaskBridgeModule.forRoot())));
    expect(leavesOf(SETTINGS).filter(([name, value]) => defaults.get(name) === value)).toEqual([]);
  });
});
