import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheckService, TerminusModule, type HealthCheckResult } from '@nestjs/terminus';
import { TaskBridgeHealthIndicator } from '@taskbridge/nestjs/terminus';
import { CompositeReadinessProbe } from '../../lib/observability/composite-readiness.probe.js';
import { ReadinessProbe, type ReadinessCheck } from '../../lib/observability/readiness-probe.js';
import { PostgresWakeUps } from '../../lib/streams/postgres-wake-ups.js';
import { TaskExecutor } from '../../lib/executors/task-executor.js';
import { TaskBridgeError } from '../../lib/taskbridge.errors.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';

class SleepyExecutor extends TaskExecutor {
  async submitTask(): Promise<void> {}
  async requestCancellation(): Promise<void> {}
  override async checkReady(): Promise<void> {
    throw new Error('cannot reach engine.internal with password hunter2');
  }
}

class HostProbe extends ReadinessProbe {
  async check(): Promise<ReadinessCheck[]> {
    return [{ name: 'mailbox', ok: false, detail: 'full' }];
  }
}

describe('health routes', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startTestApp();
    await eventually(() => app.get(PostgresWakeUps).mode === 'listening');
  });

  afterAll(() => app.close());

  it('need no credentials', async () => {
    expect(await app.as(null).get('/health')).toMatchObject({ status: 200, body: { status: 'ok' } });
    expect(await app.as(null).get('/ready')).toMatchObject({
      status: 200,
      body: {
        status: 'ready',
        checks: [
          { name: 'database', ok: true },
          { name: 'listener', ok: true, detail: 'listening' },
          { name: 'executor', ok: true },
        ],
      },
    });
  });

  it('answer 503 without secrets when the executor or the host is not ready', async () => {
    const taskBridge = { executor: SleepyExecutor, readinessProbe: HostProbe };
    const other = await startTestApp({ taskBridge });
    try {
      const { status, body } = await other.as(null).get('/ready');
      expect(status).toBe(503);
      expect(body).toMatchObject({ status: 'unavailable' });
      expect(body['checks']).toEqual(
        expect.arrayContaining([
          { name: 'executor', ok: false, detail: 'failed' },
          { name: 'mailbox', ok: false, detail: 'full' },
        ]),
      );
      expect((await other.as(null).get('/health')).status).toBe(200);
    } finally {
      await other.close();
    }
  });

  it('say that the database is gone', async () => {
    const other = await startTestApp({ taskBridge: { execution: false } });
    try {
      await other.database.drop();
      const { status, body } = await other.as(null).get('/ready');
      expect(status).toBe(503);
      const checks = body['checks'] as ReadinessCheck[];
      const database = checks.find(({ name }) => name === 'database');
      expect(database).toMatchObject({ ok: false, detail: expect.stringMatching(/^[A-Z0-9_]+$|^failed$/) });
      expect((await other.as(null).get('/health')).status).toBe(200);
    } finally {
      await other.close();
    }
  });
});

const probe = (check: () => Promise<ReadinessCheck[]>): ReadinessProbe => ({ check });

describe('CompositeReadinessProbe', () => {
  it('counts a probe that does not answer as failed', async () => {
    const slow = probe(() => new Promise(() => undefined));
    const fine = probe(async () => [{ name: 'fine', ok: true }]);
    const checks = await new CompositeReadinessProbe([slow, fine], 20).check();
    expect(checks).toEqual([
      { name: 'object', ok: false, detail: 'no answer in time' },
      { name: 'fine', ok: true },
    ]);
  });

  it('shows the message of a TaskBridgeError and only the code of a foreign error', async () => {
    const own = probe(() => Promise.reject(new TaskBridgeError('SERVICE_UNAVAILABLE', 'warming up')));
    const foreign = probe(() => Promise.reject(Object.assign(new Error('user=root at db'), { code: 'ECONNREFUSED' })));
    const checks = await new CompositeReadinessProbe([own, foreign]).check();
    expect(checks.map(({ ok, detail }) => [ok, detail])).toEqual([
      [false, 'warming up'],
      [false, 'ECONNREFUSED'],
    ]);
  });
});

@Controller('checks')
class ChecksController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly taskBridge: TaskBridgeHealthIndicator,
  ) {}

  @Get()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.taskBridge.isReady('tasks')]);
  }
}

@Module({ imports: [TerminusModule], controllers: [ChecksController], providers: [TaskBridgeHealthIndicator] })
class ChecksModule {}

describe("the indicator for a host's terminus check", () => {
  it('is up and down as readiness is', async () => {
    const app = await startTestApp({ imports: [ChecksModule], taskBridge: { isGlobal: true } });
    const down = await startTestApp({
      imports: [ChecksModule],
      taskBridge: { isGlobal: true, readinessProbe: HostProbe },
    });
    try {
      const up = await app.as(null).get('/checks');
      expect(up).toMatchObject({ status: 200, body: { status: 'ok', details: { tasks: { status: 'up' } } } });
      const failing = await down.as(null).get('/checks');
      expect(failing).toMatchObject({
        status: 503,
        body: { error: { tasks: { status: 'down', checks: { mailbox: 'full' } } } },
      });
    } finally {
      await app.close();
      await down.close();
    }
  });
});
