import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { HandoffDispatcher } from '../../lib/services/handoff-dispatcher.js';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { ActionReceiptStore } from '../../lib/stores/action-receipt.store.js';
import { HandoffState } from '../../lib/stores/records.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ScriptedExecutor } from '../support/fake-executors.js';
import { eventually, TaskInstance, typesOf } from '../support/task-instance.js';

const ROUNDS = 10;
const AT_ONCE = 20;
const TIMEOUT_MS = 60;

type Script = ConstructorParameters<typeof ScriptedExecutor>[0];

describe('The last try of a hand-off', () => {
  let database: TestDatabase;
  let other: TaskInstance;
  const instances: TaskInstance[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
  });
  beforeEach(async () => {
    other = await open({});
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.close()));
  });
  afterAll(() => database.drop());

  const open = async (script: Script, dispatchTimeoutMs = 30_000): Promise<TaskInstance> => {
    const instance = await TaskInstance.open(database, [], {
      executor: { useFactory: () => new ScriptedExecutor(script) },
      reconciliation: { enabled: false, maxAttempts: 1, dispatchTimeoutMs },
    });
    instances.push(instance);
    return instance;
  };

  /** The executor has it from the other instance by the time this one's last call fails. */
  const failing = async (delivered: Promise<unknown>): Promise<never> => {
    expect(await delivered).toBe('delivered');
    throw new Error('too late');
  };

  const started = async (instance: TaskInstance): Promise<string> => {
    const taskId = await other.create('any');
    await (await instance.get(TaskReporter).beginAttempt(taskId)).started();
    return taskId;
  };

  it('does not end a task that another instance has just submitted', async () => {
    const instance = await open({ submit: (task) => failing(other.get(HandoffDispatcher).submit(task)) });
    const taskId = await instance.create('any');
    expect(await instance.log(taskId)).toEqual([]);
    expect((await instance.task(taskId)).submission.state).toBe(HandoffState.delivered);
  });

  it('does not end a task whose answer another instance has just handed over', async () => {
    const instance = await open({ resume: (action) => failing(other.get(HandoffDispatcher).resume(action)) });
    const taskId = await started(instance);
    const attempt = other.get(TaskReporter).attach(taskId, (await other.task(taskId)).attempt);
    await attempt.suspend({ suspendId: 'q', reasonCode: 'WHY', allowedActions: ['go'] });
    const { clientActionId } = await instance.answer(taskId, 'q');
    await instance.close();
    expect(typesOf(await other.log(taskId))).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED']);
    const receipt = await other.get(ActionReceiptStore).getReceipt(taskId, clientActionId);
    expect(receipt?.resume.state).toBe(HandoffState.delivered);
  });

  it('does not end a task whose cancellation another instance has just handed over', async () => {
    const instance = await open({ cancel: (task) => failing(other.get(HandoffDispatcher).cancel(task)) });
    const taskId = await started(instance);
    await instance.cancel(taskId);
    await instance.close();
    expect(typesOf(await other.log(taskId))).toEqual(['TASK_STARTED']);
    expect((await other.task(taskId)).cancellation.state).toBe(HandoffState.delivered);
  });

  it(`leaves a task either delivered or ended when the executor accepts about at the time-out, ${ROUNDS * AT_ONCE} times`, async () => {
    const accept = (): Promise<void> => sleep(TIMEOUT_MS - 10 + Math.random() * 30);
    const instance = await open({ submit: accept }, TIMEOUT_MS);
    const outcomes = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const tasks = await Promise.all(Array.from({ length: AT_ONCE }, () => instance.create('any')));
      for (const taskId of tasks) {
        await eventually(async () => (await instance.task(taskId)).submission.state !== HandoffState.pending);
        const { status, submission } = await instance.task(taskId);
        outcomes.add(`${status} ${submission.state}`);
      }
    }
    expect([...outcomes].toSorted()).toEqual([`ACCEPTED ${HandoffState.delivered}`, `FAILED ${HandoffState.closed}`]);
  }, 120_000);
});
