import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LeaseKeeper } from '../../lib/executors/lease-keeper.js';
import type { TaskContext, TaskHandlerOptions, TaskRunner } from '../../lib/executors/task-handler.js';
import { type MetricLabels, NoMetrics } from '../../lib/observability/metrics-sink.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ForkedWorker } from '../support/fork-worker.js';
import { aborted, eventually, gate, handler, TaskInstance, typesOf } from '../support/task-instance.js';

describe('Several instances on one database', () => {
  let database: TestDatabase;
  /** Creates and reads, runs nothing. */
  let web: TaskInstance;
  const workers: TaskInstance[] = [];
  const processes: ForkedWorker[] = [];

  const fast: TaskBridgeOptions = {
    reconciliation: { intervalMs: 100 },
    execution: { leaseMs: 1_500, heartbeatMs: 300, cancelGraceMs: 500 },
    shutdown: { runTimeoutMs: 2_000 },
  };

  const worker = async (runner: TaskRunner, options?: TaskHandlerOptions, tuning = fast): Promise<TaskInstance> => {
    const instance = await TaskInstance.open(database, [handler('job', runner, options)], tuning);
    workers.push(instance);
    return instance;
  };
  const forked = async (): Promise<ForkedWorker> => {
    const forkedWorker = await ForkedWorker.start(database, fast);
    processes.push(forkedWorker);
    return forkedWorker;
  };
  /** Runs until it is aborted, and counts as dead from `die` on. */
  const mortal = async () => {
    const options = { ...fast, reconciliation: { enabled: false } };
    const instance = await worker({ run: holdOn, resume: holdOn }, {}, options);
    return { instance, die: () => instance.get(LeaseKeeper).stop() };
  };
  const finishing: TaskRunner = {
    run: async ({ attempt }) => ({ attempt }),
    resume: async ({ attempt }, { state }) => ({ attempt, state }),
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    web = await TaskInstance.open(database, [], { execution: false });
  });
  afterEach(async () => {
    await Promise.all(workers.splice(0).map((instance) => instance.close()));
    await Promise.all(processes.splice(0).map((forkedWorker) => forkedWorker.signal('SIGKILL')));
  });
  afterAll(async () => {
    await web.close();
    await database.drop();
  });

  it('runs a task again when the process that ran it was killed', async () => {
    const victim = await forked();
    const taskId = await web.create('job');
    await victim.told('running');
    await victim.signal('SIGKILL');
    const survivor = await worker(finishing, { backoffMs: 10 });
    const log = await web.end(taskId);
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_MESSAGE', 'TASK_COMPLETED']);
    expect(log[1]?.payload.level).toBe('warning');
    // One attempt was granted, one was fenced when the lease was taken away, one was granted again.
    expect(log[2]?.payload.result).toEqual({ attempt: 3 });
    expect((await survivor.task(taskId)).retries).toBe(1);
  });

  it('fences a process that stalls: its run is aborted and its reports are refused', async () => {
    const stalled = await forked();
    const taskId = await web.create('job');
    await stalled.told('running');
    await stalled.signal('SIGSTOP');
    await worker(finishing, { backoffMs: 10 });
    const log = await web.end(taskId);
    expect(log.at(-1)?.type).toBe('TASK_COMPLETED');
    await stalled.signal('SIGCONT');
    expect(await stalled.told('aborted')).toMatchObject({ reason: 'SUPERSEDED', refused: 'TASK_ALREADY_TERMINAL' });
    expect(await web.log(taskId)).toEqual(log);
  });

  it('refuses reports of an attempt whose task runs again elsewhere', async () => {
    const hold = gate();
    const codes: unknown[] = [];
    const reporting: TaskRunner = {
      run: async (task) => {
        await hold.opened;
        await task.progress(1).catch((error: { code: string }) => codes.push(error.code));
        throw new Error('must not be logged');
      },
    };
    const slow = await worker(reporting, {}, { ...fast, reconciliation: { enabled: false } });
    const taskId = await slow.create('job');
    await web.until(taskId, (log) => log.length === 1);
    await slow.get(LeaseKeeper).stop();
    const second = gate();
    await worker({ run: async () => second.opened }, { backoffMs: 10 });
    await web.until(taskId, (log) => log.length === 2);
    hold.open();
    await eventually(() => codes.length === 1);
    second.open();
    const log = await web.end(taskId);
    expect(codes).toEqual(['ATTEMPT_SUPERSEDED']);
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_MESSAGE', 'TASK_COMPLETED']);
  });

  it('fails an interrupted task with EXECUTION_INTERRUPTED where its handler asks for that', async () => {
    const victim = await mortal();
    const taskId = await victim.instance.create('job');
    await web.until(taskId, (log) => log.length === 1);
    await victim.die();
    await worker(finishing, { onInterrupted: 'fail' });
    const log = await web.end(taskId);
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_FAILED']);
    expect(log[1]?.payload).toMatchObject({ code: 'EXECUTION_INTERRUPTED', retryable: true });
  });

  it('fails an interrupted task whose attempts are spent', async () => {
    const victim = await mortal();
    const taskId = await victim.instance.create('job');
    await web.until(taskId, (log) => log.length === 1);
    await victim.die();
    await worker(finishing, { maxAttempts: 1 });
    expect((await web.end(taskId)).at(-1)?.payload).toMatchObject({ code: 'EXECUTION_INTERRUPTED' });
  });

  it('ends a task CANCELLED when its process dies after the cancellation', async () => {
    const victim = await mortal();
    const taskId = await victim.instance.create('job');
    await web.until(taskId, (log) => log.length === 1);
    await victim.die();
    await web.cancel(taskId, 'enough');
    await worker(finishing);
    expect((await web.end(taskId)).at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'enough' } });
  });

  it('resumes again with the same answer when the resuming process died', async () => {
    const asking = await worker({
      run: async (task) =>
        task.suspend({ suspendId: 'q', reasonCode: 'WHY', allowedActions: ['go'], state: { kept: true } }),
      resume: async () => undefined,
    });
    const taskId = await web.create('job');
    await web.questions(taskId);
    await eventually(async () => (await web.task(taskId)).leaseOwner === null);
    await asking.close();
    workers.length = 0;
    const victim = await mortal();
    await victim.instance.answer(taskId, 'q');
    await eventually(async () => (await web.task(taskId)).leaseOwner !== null);
    await victim.die();
    await worker(finishing, { backoffMs: 10 });
    const log = await web.end(taskId);
    expect(log.at(-1)?.payload.result).toMatchObject({ state: { kept: true } });
    expect(typesOf(log).filter((type) => type === 'TASK_ACTION_ACCEPTED').length).toBe(1);
  });

  it("gives a task the deadline of its handler's type where its creator did not know it", async () => {
    await worker({ run: holdOn }, { deadlineMs: 200 });
    const taskId = await web.create('job');
    const log = await web.end(taskId);
    expect(log.at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it("carries a cancellation to the run's signal on another instance", async () => {
    const reasons: unknown[] = [];
    const running = await worker({
      run: async ({ signal }) => {
        reasons.push(await aborted(signal));
        throw new Error('stopped');
      },
    });
    // It runs tasks, but not this type: however slow the machine is, it cannot take the task over.
    const other = await TaskInstance.open(database, [handler('other', finishing)], fast);
    workers.push(other);
    const taskId = await running.create('job');
    await other.until(taskId, (log) => log.length === 1);
    await other.cancel(taskId, 'from the other side');
    const log = await other.end(taskId);
    expect(reasons).toEqual(['CANCELLED']);
    expect(log.at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'from the other side' } });
  });

  it('ends a task CANCELLED after the grace when its run ignores the signal, and frees the slot', async () => {
    const hold = gate();
    let runs = 0;
    const stubborn = await worker(
      {
        run: async () => {
          runs += 1;
          if (runs === 1) await hold.opened;
          return runs;
        },
      },
      { concurrency: 1 },
    );
    const taskId = await stubborn.create('job');
    await stubborn.until(taskId, (log) => log.length === 1);
    const cancelledAt = Date.now();
    await stubborn.cancel(taskId);
    const log = await stubborn.end(taskId);
    expect(Date.now() - cancelledAt).toBeGreaterThanOrEqual(450);
    expect(log.at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'cancelled_by_user' } });
    expect((await stubborn.end(await stubborn.create('job'))).at(-1)?.payload).toEqual({ result: 2 });
    hold.open();
    expect(await stubborn.log(taskId)).toEqual(log);
  });

  it('counts runs that their deadline or the end of the grace stopped as such', async () => {
    const outcomes: unknown[] = [];
    class Outcomes extends NoMetrics {
      override count(name?: string, _by?: number, labels?: MetricLabels): void {
        if (name === 'taskbridge_runs_total') outcomes.push(labels?.['outcome']);
      }
    }
    const runner: TaskRunner = {
      run: (task) => (task.input.obeys === true ? holdOn(task) : new Promise(() => undefined)),
    };
    const counted = await worker(runner, {}, { ...fast, metricsSink: { useFactory: () => new Outcomes() } });
    await counted.create('job', { obeys: true }, { deadlineMs: 300 });
    await eventually(() => outcomes.length === 1);
    await counted.create('job', {}, { deadlineMs: 300 });
    await eventually(() => outcomes.length === 2);
    const cancelled = await counted.create('job');
    await counted.until(cancelled, (log) => log.length === 1);
    await counted.cancel(cancelled);
    await eventually(() => outcomes.length === 3);
    expect(outcomes).toEqual(['deadline', 'deadline', 'cancelled']);
  });

  it('hands runs over at shutdown, at no cost in retries', async () => {
    const reasons: unknown[] = [];
    const leaving = await worker({
      run: async ({ signal }) => {
        reasons.push(await aborted(signal));
        throw new Error('stopped');
      },
    });
    const taskIds = await Promise.all([1, 2, 3].map(() => leaving.create('job')));
    await Promise.all(taskIds.map((taskId) => leaving.until(taskId, (log) => log.length === 1)));
    const staying = await worker(finishing, {}, { ...fast, reconciliation: { intervalMs: 60_000 } });
    await leaving.close();
    workers.splice(workers.indexOf(leaving), 1);
    for (const taskId of taskIds) {
      const log = await staying.end(taskId, 5_000);
      expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_MESSAGE', 'TASK_COMPLETED']);
      expect((await staying.task(taskId)).retries).toBe(0);
    }
    expect(reasons).toEqual(['SHUTDOWN', 'SHUTDOWN', 'SHUTDOWN']);
  });

  it('hands a run over that ignores the shutdown, after its time-out', async () => {
    const hold = gate();
    const leaving = await worker({ run: () => hold.opened }, {}, { ...fast, shutdown: { runTimeoutMs: 200 } });
    const taskId = await leaving.create('job');
    await leaving.until(taskId, (log) => log.length === 1);
    await leaving.close();
    workers.length = 0;
    await worker(finishing);
    hold.open();
    expect((await web.end(taskId)).at(-1)?.payload.result).toEqual({ attempt: 3 });
    expect((await web.task(taskId)).retries).toBe(0);
  });

  it('completes a run that finishes during the shutdown', async () => {
    const leaving = await worker({
      run: async ({ signal }) => {
        await aborted(signal);
        return 'just in time';
      },
    });
    const taskId = await leaving.create('job');
    await leaving.until(taskId, (log) => log.length === 1);
    await leaving.close();
    workers.length = 0;
    expect((await web.log(taskId)).at(-1)?.payload).toEqual({ result: 'just in time' });
  });
});

async function holdOn({ signal }: TaskContext): Promise<never> {
  await aborted(signal);
  throw new Error('stopped');
}
