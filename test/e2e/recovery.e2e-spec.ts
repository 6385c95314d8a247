import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Type } from '@nestjs/common';
import pg from 'pg';
import type { TaskContext } from '../../lib/executors/task-handler.js';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { HandoffState, type SuspensionRequest } from '../../lib/stores/records.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { FaultProxy } from '../faults/support/fault-proxy.js';
import { createTestDatabase, createTestDataSource, type TestDatabase } from '../support/database.js';
import { ScriptedExecutor } from '../support/fake-executors.js';
import { ForkedWorker } from '../support/fork-worker.js';
import { aborted, eventually, handler, TaskInstance, typesOf } from '../support/task-instance.js';

const QUICK = { intervalMs: 50, claimMs: 1_000, dispatchTimeoutMs: 500, backoffMs: 100, maxBackoffMs: 800 };

describe('Nothing accepted is lost', () => {
  let database: TestDatabase;
  let client: pg.Client;
  const instances: TaskInstance[] = [];
  const workers: ForkedWorker[] = [];

  const open = async (handlers: readonly Type[], options: TaskBridgeOptions = {}, url = database.url) => {
    const instance = await TaskInstance.open({ url }, handlers, { reconciliation: QUICK, ...options });
    instances.push(instance);
    return instance;
  };
  /** An instance whose executor is made of functions. */
  const engine = (executor: ScriptedExecutor, options: TaskBridgeOptions = {}): Promise<TaskInstance> =>
    open([], { executor: { useFactory: () => executor }, ...options });
  const close = async (instance: TaskInstance): Promise<void> => {
    instances.splice(instances.indexOf(instance), 1);
    await instance.close();
  };
  const rows = async <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> =>
    (await client.query<T>(text, values)).rows;

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.close()));
    await Promise.all(workers.splice(0).map((worker) => worker.signal('SIGKILL')));
    await client.query('truncate taskbridge_tasks, taskbridge_events, taskbridge_suspensions, taskbridge_receipts');
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  describe('of submissions', () => {
    it('retries them with a pause that doubles, jittered, on the clock of the database', async () => {
      const calledAt: number[] = [];
      const instance = await engine(
        new ScriptedExecutor({
          submit: () => {
            calledAt.push(performance.now());
            throw new Error('the engine is down');
          },
        }),
        // Longer than any pause, to tell a claim from one.
        { reconciliation: { ...QUICK, claimMs: 60_000 } },
      );
      const taskId = await instance.create('any');
      await eventually(() => calledAt.length === 5, 20_000);
      const pauses = calledAt.slice(1).map((at, index) => at - (calledAt[index] ?? 0));
      // Half of 100, 200, 400, 800 at least; rounds and a busy machine only add to it.
      for (const [index, pause] of pauses.entries()) expect(pause).toBeGreaterThan(50 * 2 ** index);
      let ahead = 60;
      await eventually(async () => {
        const [row] = await rows<{ ahead: number }>(
          `select extract(epoch from submission_next_try_at - clock_timestamp())::float8 as ahead from taskbridge_tasks
           where task_id = $1`,
          [taskId],
        );
        ahead = row?.ahead ?? NaN;
        return ahead < 50;
      });
      expect(ahead).toBeLessThanOrEqual(0.8);
      expect(await instance.task(taskId)).toMatchObject({ submission: { lastError: 'the engine is down' } });
    });

    it('passes over a task whose row somebody holds, and takes it when the row is free', async () => {
      const creator = await open([], { execution: false });
      const held = await creator.create('any');
      const other = await creator.create('any');
      await client.query('begin');
      await client.query('select 1 from taskbridge_tasks where task_id = $1 for update', [held]);
      const executor = new ScriptedExecutor({});
      await engine(executor);
      await eventually(() => executor.submitted.some(({ taskId }) => taskId === other));
      expect(executor.submitted.map(({ taskId }) => taskId)).toEqual([other]);
      await client.query('rollback');
      await eventually(() => executor.submitted.length === 2);
      expect(executor.submitted.map(({ taskId }) => taskId)).toEqual([other, held]);
    });

    it('delivers all others while some hang in the executor, however many', async () => {
      const creator = await open([], { execution: false });
      const hanging = new Set(await Promise.all(Array.from({ length: 60 }, () => creator.create('any'))));
      const others = await Promise.all(Array.from({ length: 60 }, () => creator.create('any')));
      const executor = new ScriptedExecutor({
        submit: ({ taskId }) => (hanging.has(taskId) ? new Promise<void>(() => undefined) : undefined),
      });
      const minute = 60_000;
      await engine(executor, { reconciliation: { ...QUICK, dispatchTimeoutMs: minute, claimMs: minute } });
      await eventually(async () => {
        const delivered = await rows('select 1 from taskbridge_tasks where submission_state = 2');
        return delivered.length === others.length;
      });
      expect(new Set(executor.submitted.map(({ taskId }) => taskId))).toEqual(new Set([...hanging, ...others]));
    });

    it('takes an acknowledgement that came too late, and fails no task that the executor has begun', async () => {
      const acknowledge: (() => void)[] = [];
      const executor = new ScriptedExecutor({ submit: () => new Promise<void>((done) => acknowledge.push(done)) });
      const reconciliation = { ...QUICK, dispatchTimeoutMs: 100, maxAttempts: 3 };
      const instance = await engine(executor, { reconciliation });
      const late = await instance.create('any');
      for (const done of acknowledge.splice(0, 1)) done();
      const begun = await instance.create('any');
      const attempt = await instance.get(TaskReporter).beginAttempt(begun);
      await attempt.started();
      await eventually(async () => {
        const states = await Promise.all([late, begun].map((taskId) => instance.task(taskId)));
        return states.every(({ submission }) => submission.state === HandoffState.delivered);
      });
      expect(executor.submitted.filter(({ taskId }) => taskId === begun).length).toBe(3);
      await attempt.complete('fine');
      expect(typesOf(await instance.log(begun))).toEqual(['TASK_STARTED', 'TASK_COMPLETED']);
    });

    it('hands each task to one of several instances, once', async () => {
      const creator = await open([], { execution: false });
      const taskIds = await Promise.all(Array.from({ length: 60 }, () => creator.create('any')));
      const executors = [1, 2, 3].map(() => new ScriptedExecutor({}));
      const unhurried = { reconciliation: { ...QUICK, claimMs: 30_000 } };
      await Promise.all(executors.map((executor) => engine(executor, unhurried)));
      const submitted = (): string[] => executors.flatMap((executor) => executor.submitted.map(({ taskId }) => taskId));
      await eventually(async () => {
        const pending = await rows('select 1 from taskbridge_tasks where submission_state = 1');
        return pending.length === 0;
      });
      expect(submitted().toSorted()).toEqual(taskIds.toSorted());
    });
  });

  describe('of answers', () => {
    /** A task of an executor outside that has asked `q`. */
    const ask = async (instance: TaskInstance, request: Partial<SuspensionRequest> = {}): Promise<string> => {
      const taskId = await instance.create('any');
      const attempt = await instance.get(TaskReporter).beginAttempt(taskId);
      await attempt.started();
      await attempt.suspend({ suspendId: 'q', reasonCode: 'CHECK', allowedActions: ['go', 'stop'], ...request });
      return taskId;
    };
    const never = (): never => {
      throw new Error('not now');
    };

    it('delivers on another instance, with its payload, what could not be delivered before its instance was gone', async () => {
      const first = await engine(new ScriptedExecutor({ resume: never }), {
        reconciliation: { ...QUICK, maxAttempts: 100 },
      });
      const taskId = await ask(first);
      await first.answer(taskId, 'q', 'go', { limit: 5 });
      await close(first);
      const executor = new ScriptedExecutor({});
      await engine(executor);
      await eventually(() => executor.resumed.length > 0);
      expect(
        executor.resumed.map(({ receipt, suspension }) => [receipt.taskId, suspension.suspendId, receipt.payload]),
      ).toEqual([[taskId, 'q', { limit: 5 }]]);
    });

    it('does as onExpiry says when nobody answered, once, however many instances look', async () => {
      const executor = new ScriptedExecutor({});
      const asker = await engine(executor, { reconciliation: { enabled: false } });
      const soon = new Date(Date.now() + 300);
      const [failing, cancelled, resumed] = await Promise.all([
        ask(asker, { expiresAt: soon, onExpiry: 'fail' }),
        ask(asker, { expiresAt: soon, onExpiry: 'cancel' }),
        ask(asker, { expiresAt: soon, onExpiry: { resume: 'go', payload: { byDefault: true } } }),
      ]);
      await Promise.all([1, 2, 3].map(() => engine(executor)));
      await eventually(() => executor.resumed.length > 0);
      expect((await asker.end(failing)).at(-1)).toMatchObject({ payload: { code: 'SUSPENSION_EXPIRED' } });
      expect((await asker.end(cancelled)).at(-1)).toMatchObject({ type: 'TASK_CANCELLED' });
      expect(typesOf(await asker.log(resumed))).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED']);
      expect(executor.resumed.map(({ receipt }) => [receipt.taskId, receipt.payload])).toEqual([
        [resumed, { byDefault: true }],
      ]);
    });
  });

  describe('of cancellations', () => {
    it('delivers on another instance what could not be delivered before its instance was gone', async () => {
      const failing = new ScriptedExecutor({
        cancel: () => {
          throw new Error('not now');
        },
      });
      const first = await engine(failing, { reconciliation: { ...QUICK, maxAttempts: 1_000 } });
      const taskId = await first.create('any');
      await eventually(async () => (await first.task(taskId)).submission.state === HandoffState.delivered);
      await first.cancel(taskId, 'enough');
      await eventually(() => failing.cancelled.length > 0);
      await close(first);
      const executor = new ScriptedExecutor({});
      const second = await engine(executor);
      await eventually(async () => (await second.task(taskId)).cancellation.state === HandoffState.delivered);
      expect(executor.cancelled.map((task) => [task.taskId, task.cancelReason])).toEqual([[taskId, 'enough']]);
    });

    it('ends a task that was never submitted at once, and never submits it', async () => {
      const creator = await open([], { execution: false });
      const taskId = await creator.create('any');
      expect(await creator.cancel(taskId, 'changed my mind')).toMatchObject({ status: 'CANCELLATION_REQUESTED' });
      expect(await creator.log(taskId)).toEqual([{ type: 'TASK_CANCELLED', payload: { reason: 'changed my mind' } }]);
      const executor = new ScriptedExecutor({});
      const instance = await engine(executor);
      const later = await instance.create('any');
      await eventually(async () => (await instance.task(later)).submission.state === HandoffState.delivered);
      expect(executor.submitted.map((task) => task.taskId)).toEqual([later]);
    });
  });

  describe('by leases', () => {
    const SECOND = { leaseMs: 1_000, heartbeatMs: 300, cancelGraceMs: 500 };
    it('runs the tasks of a killed process again within seconds at a lease of one second', async () => {
      const victim = await ForkedWorker.start(database, { execution: SECOND, reconciliation: QUICK });
      workers.push(victim);
      const creator = await open([], { execution: false });
      const taskId = await creator.create('job');
      await victim.told('running');
      await open([handler('job', { run: async () => 'done' }, { backoffMs: 10 })], { execution: SECOND });
      await victim.signal('SIGKILL');
      const killedAt = performance.now();
      expect((await creator.end(taskId)).at(-1)?.payload).toEqual({ result: 'done' });
      expect(performance.now() - killedAt).toBeLessThan(5_000);
    });

    it('does not take a task from a process that is alive, however short the lease', async () => {
      const options = { execution: SECOND };
      const running = await open([handler('job', { run: holdForever })], options);
      const taskId = await running.create('job');
      await open([handler('job', { run: async () => 'stolen' })], options);
      const until = performance.now() + 3_000;
      await eventually(() => performance.now() > until);
      expect(await running.task(taskId)).toMatchObject({ attempt: 1, retries: 0 });
      await running.cancel(taskId);
      expect((await running.end(taskId)).at(-1)?.type).toBe('TASK_CANCELLED');
    });

    it('goes on renewing its lease after a renewal that is never answered', async () => {
      const proxy = await FaultProxy.open(() => Number(new URL(database.url).port));
      const proxied = new URL(database.url);
      proxied.port = String(proxy.port);
      const options = { execution: SECOND, direct: { url: database.url } };
      const instance = await open([handler('job', { run: async () => 'done' })], options, proxied.href);
      await instance.end(await instance.create('job'));
      proxy.muteAt = 'on conflict (process_id)';
      await eventually(() => proxy.muteAt === undefined, 5_000);
      const until = performance.now() + 1_500;
      await eventually(() => performance.now() > until);
      expect((await instance.end(await instance.create('job'), 5_000)).at(-1)?.payload).toEqual({ result: 'done' });
      await proxy.close();
    });
  });

  describe('by deadlines', () => {
    it('fails a task past the deadline of its create, and tells its run', async () => {
      const reasons: unknown[] = [];
      const run = async ({ signal }: TaskContext): Promise<unknown> => {
        reasons.push(await aborted(signal));
        throw new Error('stopped');
      };
      const instance = await open([handler('job', { run })], { execution: { leaseMs: 1_500, heartbeatMs: 200 } });
      const taskId = await instance.create('job', {}, { deadlineMs: 1_000 });
      const log = await instance.end(taskId);
      expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_FAILED']);
      expect(log.at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      await eventually(() => reasons.length === 1);
      expect(['DEADLINE', 'SUPERSEDED']).toContain(reasons[0]);
    });

    it('lets the deadline of the create win over that of the type, and leaves tasks without one alone', async () => {
      const typed = handler('typed', { run: holdForever }, { deadlineMs: 60_000 });
      const instance = await open([handler('job', { run: holdForever }), typed]);
      const hurried = await instance.create('typed', {}, { deadlineMs: 200 });
      const patient = await instance.create('job');
      expect((await instance.end(hurried)).at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect((await instance.task(patient)).status).toBe('RUNNING');
    });

    it('fails a task past its deadline that nobody ever ran, or that waits for an answer', async () => {
      const asking = handler('asking', {
        run: async (task) => task.suspend({ suspendId: 'q', reasonCode: 'WHY', allowedActions: ['go'] }),
        resume: async () => undefined,
      });
      const instance = await open([asking]);
      const creator = await open([], { execution: false });
      const unknown = await creator.create('nobody-runs-this', {}, { deadlineMs: 300 });
      const waiting = await instance.create('asking', {}, { deadlineMs: 600 });
      for (const taskId of [unknown, waiting]) {
        expect((await instance.end(taskId)).at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      }
      expect(await rows('select 1 from taskbridge_suspensions where status = 0')).toEqual([]);
    });
  });
});

async function holdForever({ signal }: TaskContext): Promise<never> {
  await aborted(signal);
  throw new Error('stopped');
}
