import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminalEventType } from '@taskbridge/protocol';
import { EventStore } from '../../lib/stores/event.store.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ForkedWorker } from '../support/fork-worker.js';
import { TaskInstance, typesOf } from '../support/task-instance.js';

const TASKS = 90;
const KILLS = 3;

describe('Workers that are killed at any instant', () => {
  let database: TestDatabase;
  let web: TaskInstance;
  const workers: ForkedWorker[] = [];
  const options: TaskBridgeOptions = {
    reconciliation: { intervalMs: 200, claimMs: 2_000, dispatchTimeoutMs: 1_000 },
    execution: { leaseMs: 1_500, heartbeatMs: 300 },
  };

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    web = await TaskInstance.open(database, [], { execution: false });
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.signal('SIGKILL')));
    await web.close();
    await database.drop();
  });

  it(`lose no task and end none twice: ${TASKS} tasks over ${KILLS} kills`, async () => {
    const starting = Array.from({ length: KILLS + 1 }, () => ForkedWorker.start(database, options));
    workers.push(...(await Promise.all(starting)));
    const taskIds: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      taskIds.push(...(await Promise.all(Array.from({ length: TASKS / KILLS }, () => web.create('steps')))));
      await sleep(20 + Math.random() * 200);
      await workers[kill]?.signal('SIGKILL');
    }
    for (const taskId of taskIds) {
      const log = await web.end(taskId, 30_000);
      expect(log.at(-1)).toEqual({ type: 'TASK_COMPLETED', payload: { result: { steps: 5 } } });
      expect(log.filter(({ type }) => isTerminalEventType(type)).length).toBe(1);
      expect(typesOf(log).indexOf('TASK_STARTED')).toBe(0);
      expect(typesOf(log).lastIndexOf('TASK_STARTED')).toBe(0);
      const seqs = (await web.get(EventStore).listAfter(taskId, 0, 500)).map(({ seq }) => seq);
      expect(seqs).toEqual(log.map((_, index) => index + 1));
    }
    const retried = await Promise.all(taskIds.map(async (taskId) => (await web.task(taskId)).retries));
    // The kills did hit runs, or this test shows nothing.
    expect(retried.filter((retries) => retries > 0).length).toBeGreaterThan(0);
  }, 120_000);
});
