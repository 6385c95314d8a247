import { Logger } from '@nestjs/common';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { TaskCreationService } from '../../lib/services/task-creation.service.js';
import { TaskRetentionService } from '../../lib/services/task-retention.service.js';
import { TaskScheduler } from '../../lib/services/task-scheduler.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import {
  DAY_MS,
  GONE,
  HOUR_MS,
  makeOlder,
  retentionOf,
  seedFinished,
  seedTask,
  storedRows,
} from '../support/retention.js';
import { createTestStores, startTask, type TestStores } from '../support/stores.js';
import { handler, TaskInstance } from '../support/task-instance.js';

beforeAll(() => Logger.overrideLogger(false));

describe('retention beside other work', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;

  beforeEach(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
  });
  afterEach(async () => {
    await stores.close();
    await opened.close();
  });

  const rows = () => storedRows(opened.dataSource);

  it('shares the work with other instances, deleting and counting everything once', async () => {
    await seedFinished(opened.dataSource, { count: 1_500, events: 8, ageMs: 2 * DAY_MS });
    for (let index = 0; index < 20; index += 1) {
      await seedTask(stores, { questions: 4, files: ['f', 'g'], progress: index * 10, ageMs: 2 * DAY_MS });
    }
    const long = await seedTask(stores, { progress: 500, ageMs: HOUR_MS * 2 });
    const before = await rows();
    const options = {
      tasks: { olderThanMs: DAY_MS },
      trim: { olderThanMs: HOUR_MS, keepEvents: 10 },
      batchSize: 50,
    };
    const instances = Array.from({ length: 4 }, () => retentionOf(stores, options));
    const reports = await Promise.all(instances.map((instance) => instance.run()));
    // A row that two of them met is left by one of them; nothing is left by all.
    const rest = await retentionOf(stores, options).run();
    const sum = (read: (report: typeof rest) => number) => [...reports, rest].reduce((all, one) => all + read(one), 0);
    expect(sum((one) => one.tasks)).toBe(before.tasks - 1);
    expect(sum((one) => one.events + one.trimmedEvents)).toBe(before.events - 10);
    expect(sum((one) => one.receipts)).toBe(before.receipts);
    expect(sum((one) => one.suspensions)).toBe(before.suspensions);
    expect(sum((one) => one.attachments)).toBe(before.attachments);
    expect(await rows()).toEqual({ ...GONE, tasks: 1, events: 10 });
    expect((await stores.events.listAfter(long, 0, 100)).map(({ seq }) => seq)).toEqual([
      493, 494, 495, 496, 497, 498, 499, 500, 501, 502,
    ]);
    expect(reports.filter(({ tasks }) => tasks > 0).length).toBeGreaterThan(1);
  });

  it('lets appends to other tasks flow while it deletes a lot', async () => {
    await seedFinished(opened.dataSource, { count: 8_000, events: 25, ageMs: 2 * DAY_MS });
    const { taskId, attempt } = await startTask(stores);
    const running = retentionOf(stores, { tasks: { olderThanMs: DAY_MS }, pauseMs: 5 }).run();
    const ended = new AbortController();
    void running.finally(() => ended.abort());
    let appended = 0;
    let slowestMs = 0;
    while (!ended.signal.aborted) {
      const startedAt = performance.now();
      await stores.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt });
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      appended += 1;
    }
    expect(await running).toMatchObject({ tasks: 8_000, events: 200_000 });
    expect(appended).toBeGreaterThan(100);
    expect(slowestMs).toBeLessThan(2_000);
    expect((await stores.registry.getTask(taskId))?.lastSeq).toBe(1 + appended);
    expect(await rows()).toMatchObject({ tasks: 1, events: 1 + appended });
  });

  it('stops between two statements when it is told to, and goes on with the next run', async () => {
    await seedFinished(opened.dataSource, { count: 200, events: 9, ageMs: 2 * DAY_MS });
    const options = { tasks: { olderThanMs: DAY_MS }, batchSize: 100 };
    const stopping = new AbortController();
    const running = retentionOf(stores, { ...options, pauseMs: HOUR_MS }).run({ signal: stopping.signal });
    await eventually(async () => (await rows()).tasks === 190);
    stopping.abort();
    expect(await running).toMatchObject({ tasks: 10, events: 90 });
    expect(await retentionOf(stores, options).run()).toMatchObject({ tasks: 190 });
  });

  it('sees answers and creates that race with it either before or after the deletion', async () => {
    const key = { ownerId: 'ann', clientRequestId: 'raced' };
    const created = new Set<string>();
    const retention = retentionOf(stores, { tasks: { olderThanMs: HOUR_MS } });
    for (let round = 0; round < 20; round += 1) {
      const creates = Array.from({ length: 4 }, () => createWith(key));
      const [, ...tasks] = await Promise.all([retention.run(), ...creates]);
      const ids = new Set(tasks.map(({ task }) => task.taskId));
      expect(ids.size).toBeLessThanOrEqual(2);
      for (const { task } of tasks.filter((one) => one.created)) {
        expect(created.has(task.taskId)).toBe(false);
        created.add(task.taskId);
      }
      const { task, created: isNew } = await createWith(key);
      expect(created.has(task.taskId)).toBe(!isNew);
      created.add(task.taskId);
      await stores.events
        .append({ taskId: task.taskId, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null })
        .catch(() => undefined);
      await makeOlder(opened.dataSource, task.taskId, 2 * HOUR_MS);
    }
    expect(created.size).toBeGreaterThan(5);
  });

  function createWith(key: { ownerId: string; clientRequestId: string }) {
    return stores.registry.createTask({
      ...key,
      taskId: uuidv7(),
      appId: null,
      taskType: 'demo',
      input: {},
      metadata: {},
      requestHash: 'h',
      deadlineMs: null,
      traceparent: null,
      submissionClaimMs: 0,
    });
  }
});

describe('the schedule of retention', () => {
  const quick = handler('quick', { run: async () => 'done' });
  let opened: OpenTestDatabase;

  beforeEach(async () => {
    opened = await openTestDatabase();
  });
  afterEach(() => opened.close());

  async function withInstance(options: TaskBridgeOptions, work: (instance: TaskInstance) => Promise<void>) {
    const instance = await TaskInstance.open(opened.database, [quick], options);
    try {
      await work(instance);
    } finally {
      await instance.close();
    }
  }

  it('deletes by itself, and the same create then makes a new task', async () => {
    const options = {
      reconciliation: { intervalMs: 20 },
      retention: { tasks: { byType: { quick: 0 } }, intervalMs: 50 },
    };
    await withInstance(options, async (instance) => {
      const auth = { subject: 'ada', scopes: [], appId: null, attributes: {} };
      const command = { auth, clientRequestId: 'again', taskType: 'quick' };
      const first = await instance.get(TaskCreationService).createTask(command);
      await eventually(async () => (await storedRows(opened.dataSource, first.taskId)).tasks === 0);
      const second = await instance.get(TaskCreationService).createTask(command);
      expect([first.deduplicated, second.deduplicated]).toEqual([false, false]);
      expect(second.taskId).not.toBe(first.taskId);
    });
  });

  it.each([{ retention: { enabled: false } }, { reconciliation: { enabled: false } }])(
    'leaves it to the host with %j',
    async (off) => {
      const options: TaskBridgeOptions = {
        reconciliation: { intervalMs: 10, ...off.reconciliation },
        retention: { tasks: { olderThanMs: 0 }, intervalMs: 10, ...off.retention },
      };
      await withInstance(options, async (instance) => {
        const taskId = await instance.create('quick');
        await instance.end(taskId);
        for (let round = 0; round < 5; round += 1) await instance.get(TaskScheduler).runRound();
        expect((await storedRows(opened.dataSource, taskId)).tasks).toBe(1);
        const retention = instance.get(TaskRetentionService);
        expect(await retention.preview()).toMatchObject({ dryRun: true, tasksByType: { quick: 1 } });
        expect(await retention.run()).toMatchObject({ dryRun: false, tasks: 1 });
        expect(await storedRows(opened.dataSource, taskId)).toEqual(GONE);
      });
    },
  );

  it('ends a run at shutdown without waiting for its pauses', async () => {
    await seedFinished(opened.dataSource, { count: 300, events: 9, ageMs: 2 * DAY_MS });
    const options = {
      reconciliation: { intervalMs: 10 },
      retention: { tasks: { olderThanMs: DAY_MS }, batchSize: 100, pauseMs: HOUR_MS },
    };
    let startedAt = 0;
    await withInstance(options, async () => {
      await eventually(async () => (await storedRows(opened.dataSource)).tasks === 290);
      startedAt = performance.now();
    });
    expect(performance.now() - startedAt).toBeLessThan(2_500);
  });
});
