import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { TaskExecutor } from '../../lib/executors/task-executor.js';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { HandoffState } from '../../lib/stores/records.js';
import { DeterministicFakeExecutor, type FakeExecutorOptions } from '../../lib/testing/index.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually, TaskInstance, typesOf } from '../support/task-instance.js';

describe('DeterministicFakeExecutor', () => {
  let database: TestDatabase;
  const instances: TaskInstance[] = [];

  const open = async (options: FakeExecutorOptions = {}) => {
    const useFactory = (reporter: TaskReporter) => new DeterministicFakeExecutor(reporter, options);
    const instance = await TaskInstance.open(database, [], { executor: { useFactory, inject: [TaskReporter] } });
    instances.push(instance);
    const executor = instance.get(TaskExecutor) as DeterministicFakeExecutor;
    const tick = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i += 1) await executor.tick();
    };
    return { instance, tick };
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.close()));
  });
  afterAll(() => database.drop());

  it('makes one step per tick: start, progress, completion', async () => {
    const { instance, tick } = await open({ ticks: 2 });
    const taskId = await instance.create('any');
    const lengths: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      lengths.push((await instance.log(taskId)).length);
      await tick(1);
    }
    expect(lengths).toEqual([0, 1, 2, 3, 4, 4]);
    expect(await instance.log(taskId)).toEqual([
      { type: 'TASK_STARTED', payload: {} },
      { type: 'TASK_PROGRESS', payload: { progress: 50 } },
      { type: 'TASK_PROGRESS', payload: { progress: 100 } },
      { type: 'TASK_COMPLETED', payload: { result: { ticks: 2 } } },
    ]);
  });

  it('fails after the tick it is told to', async () => {
    const { instance, tick } = await open({ failAfterTick: 1 });
    const taskId = await instance.create('any');
    await tick(3);
    expect(typesOf(await instance.log(taskId))).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_FAILED']);
  });

  it('stops at the first tick after its cancellation', async () => {
    const { instance, tick } = await open();
    const taskId = await instance.create('any');
    await tick(2);
    await instance.cancel(taskId, 'seen enough');
    await eventually(async () => (await instance.task(taskId)).cancellation.state === HandoffState.delivered);
    await tick(1);
    const log = await instance.log(taskId);
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_CANCELLED']);
    expect(log[2]?.payload).toEqual({ reason: 'seen enough' });
  });

  it('asks once and goes on from there when it is answered', async () => {
    const { instance, tick } = await open({ ticks: 2, suspendAfterTick: 1 });
    const taskId = await instance.create('any');
    await tick(5);
    expect(typesOf(await instance.log(taskId))).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_SUSPENDED']);
    const [question = ''] = await instance.questions(taskId);
    await instance.answer(taskId, question, 'continue');
    // The answer reaches the executor right after it was accepted, not before.
    await eventually(async () => {
      await tick(1);
      return (await instance.task(taskId)).status === 'COMPLETED';
    });
    expect(typesOf(await instance.log(taskId)).slice(3)).toEqual([
      'TASK_ACTION_ACCEPTED',
      'TASK_PROGRESS',
      'TASK_COMPLETED',
    ]);
  });

  it('ticks by itself when it is given a pace', async () => {
    const { instance } = await open({ ticks: 5, tickEveryMs: 1 });
    const taskIds = await Promise.all([1, 2, 3].map(() => instance.create('any')));
    for (const taskId of taskIds) {
      expect((await instance.end(taskId)).length).toBe(7);
    }
  });
});
