import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskExecutor } from '../../lib/executors/task-executor.js';
import { TaskCreationService } from '../../lib/services/task-creation.service.js';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { HandoffState } from '../../lib/stores/records.js';
import { TaskRejectedError } from '../../lib/taskbridge.errors.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ScriptedExecutor } from '../support/fake-executors.js';
import { eventually, TaskInstance, typesOf } from '../support/task-instance.js';

describe('A hand-off to the executor', () => {
  let database: TestDatabase;
  const instances: TaskInstance[] = [];
  const reconciliation = {
    intervalMs: 50,
    batchSize: 5,
    dispatchTimeoutMs: 300,
    claimMs: 1_000,
    maxAttempts: 3,
    backoffMs: 20,
    maxBackoffMs: 50,
  };

  const open = async (executor: TaskExecutor, tuning: Partial<typeof reconciliation> = {}): Promise<TaskInstance> => {
    const supplied = { useFactory: () => executor };
    const options = { executor: supplied, reconciliation: { ...reconciliation, ...tuning } };
    const instance = await TaskInstance.open(database, [], options);
    instances.push(instance);
    return instance;
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.close()));
  });
  afterAll(() => database.drop());

  it('is tried again after the executor threw, and the create is accepted meanwhile', async () => {
    const executor = new ScriptedExecutor({
      submit: (_task, call) => {
        if (call < 3) throw new Error('connection refused');
      },
    });
    const instance = await open(executor);
    const taskId = await instance.create('any');
    expect(await instance.task(taskId)).toMatchObject({
      status: 'ACCEPTED',
      submission: { state: HandoffState.pending, lastError: 'connection refused' },
    });
    await eventually(async () => (await instance.task(taskId)).submission.state === HandoffState.delivered);
    expect(executor.submitted.length).toBe(3);
    expect(await instance.log(taskId)).toEqual([]);
  });

  it('fails the task at once when the executor rejects it', async () => {
    const executor = new ScriptedExecutor({
      submit: () => {
        throw new TaskRejectedError('no such model');
      },
    });
    const instance = await open(executor);
    const command = {
      auth: { subject: 'ada', scopes: [], appId: null, attributes: {} },
      clientRequestId: 'rejected',
      taskType: 'any',
    };
    const creation = instance.get(TaskCreationService);
    await expect(creation.createTask(command)).rejects.toMatchObject({ code: 'TASK_SUBMISSION_ERROR' });
    const repeated = await creation.createTask(command);
    expect(repeated).toMatchObject({ status: 'FAILED', deduplicated: true });
    expect(await instance.log(repeated.taskId)).toEqual([
      { type: 'TASK_FAILED', payload: { code: 'TASK_SUBMISSION_ERROR', message: 'no such model', retryable: true } },
    ]);
    expect(executor.submitted.length).toBe(1);
  });

  it('fails the task after the last try of its submission', async () => {
    const executor = new ScriptedExecutor({
      submit: () => {
        throw new Error('down for good');
      },
    });
    const instance = await open(executor);
    const taskId = await instance.create('any');
    const log = await instance.end(taskId);
    expect(typesOf(log)).toEqual(['TASK_FAILED']);
    expect(log[0]?.payload.code).toBe('TASK_SUBMISSION_ERROR');
    expect(executor.submitted.length).toBe(reconciliation.maxAttempts);
    expect((await instance.task(taskId)).submission.state).toBe(HandoffState.closed);
  });

  it('is given up after the time-out and tried again', async () => {
    const executor = new ScriptedExecutor({
      submit: (_task, call) => (call === 1 ? new Promise(() => undefined) : undefined),
    });
    const instance = await open(executor);
    const taskId = await instance.create('any');
    expect((await instance.task(taskId)).submission.lastError).toMatch(/did not settle within 300 ms/);
    await eventually(async () => (await instance.task(taskId)).submission.state === HandoffState.delivered);
    expect(executor.submitted.length).toBe(2);
  });

  it('is not held up by tasks that always fail', async () => {
    const executor = new ScriptedExecutor({
      submit: ({ input }, call) => {
        if (input.bad === true || call === 1) throw new Error('not now');
      },
    });
    const instance = await open(executor, { maxAttempts: 1_000 });
    await Promise.all(Array.from({ length: 20 }, () => instance.create('any', { bad: true })));
    const good = await Promise.all(Array.from({ length: 20 }, () => instance.create('any')));
    await eventually(async () => {
      const tasks = await Promise.all(good.map((taskId) => instance.task(taskId)));
      return tasks.every(({ submission }) => submission.state === HandoffState.delivered);
    }, 10_000);
  });

  it('is taken over by another instance when its creator died', async () => {
    const creator = await TaskInstance.open(database, [], { execution: false });
    instances.push(creator);
    const taskId = await creator.create('any');
    const executor = new ScriptedExecutor({});
    const instance = await open(executor);
    await eventually(async () => (await instance.task(taskId)).submission.state === HandoffState.delivered);
    expect(executor.submitted.filter((task) => task.taskId === taskId).length).toBe(1);
  });

  it('reaches an instance that runs tasks quickly from one that does not', async () => {
    const executor = new ScriptedExecutor({});
    await open(executor, { intervalMs: 60_000 });
    const creator = await TaskInstance.open(database, [], { execution: false });
    instances.push(creator);
    const taskId = await creator.create('any');
    await eventually(() => executor.submitted.some((task) => task.taskId === taskId), 3_000);
  });

  describe('with an accepted answer', () => {
    it('is tried again until the executor takes the answer', async () => {
      const executor = new ScriptedExecutor({
        resume: (_action, call) => {
          if (call < 3) throw new Error('not now');
        },
      });
      const instance = await open(executor);
      const taskId = await ask(instance);
      await instance.answer(taskId, 'q', 'go', { n: 1 });
      await eventually(() => executor.resumed.length === 3);
      expect(executor.resumed.map(({ receipt, suspension }) => [receipt.payload, suspension.suspendId])).toEqual([
        [{ n: 1 }, 'q'],
        [{ n: 1 }, 'q'],
        [{ n: 1 }, 'q'],
      ]);
    });

    it('fails the task with TASK_RESUME_ERROR after the last try', async () => {
      const executor = new ScriptedExecutor({
        resume: () => {
          throw new Error('never');
        },
      });
      const instance = await open(executor);
      const taskId = await ask(instance);
      await instance.answer(taskId, 'q');
      const log = await instance.end(taskId);
      expect(log.at(-1)?.payload).toMatchObject({ code: 'TASK_RESUME_ERROR' });
      expect(executor.resumed.length).toBe(reconciliation.maxAttempts);
    });
  });

  describe('with a cancellation', () => {
    it('ends the task CANCELLED when the executor never takes it', async () => {
      const executor = new ScriptedExecutor({
        cancel: () => {
          throw new Error('cannot');
        },
      });
      const instance = await open(executor);
      const taskId = await run(instance);
      await instance.cancel(taskId, 'stop it');
      const log = await instance.end(taskId);
      expect(log.at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'stop it' } });
      expect(executor.cancelled.length).toBe(reconciliation.maxAttempts);
    });

    it('leaves the ending to the executor that took it', async () => {
      const executor = new ScriptedExecutor({});
      const instance = await open(executor);
      const taskId = await run(instance);
      await instance.cancel(taskId, 'stop it');
      await eventually(async () => (await instance.task(taskId)).cancellation.state === HandoffState.delivered);
      const attempt = instance.get(TaskReporter).attach(taskId, (await instance.task(taskId)).attempt);
      await attempt.cancelled();
      expect((await instance.log(taskId)).at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'stop it' } });
      expect(executor.cancelled.length).toBe(1);
    });
  });
});

/** A task whose attempt reports from outside. */
async function run(instance: TaskInstance): Promise<string> {
  const taskId = await instance.create('any');
  await (await instance.get(TaskReporter).beginAttempt(taskId)).started();
  return taskId;
}

/** A task that waits for the answer to its question `q`. */
async function ask(instance: TaskInstance): Promise<string> {
  const taskId = await instance.create('any');
  const attempt = await instance.get(TaskReporter).beginAttempt(taskId);
  await attempt.started();
  await attempt.suspend({ suspendId: 'q', reasonCode: 'WHY', allowedActions: ['go'] });
  return taskId;
}
