import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { verifyTaskBridge } from '@taskbridge/nestjs/verification';
import { Readable } from 'node:stream';
import { TaskRetentionStore } from '../../lib/stores/task-retention.store.js';
import { PostgresAttachmentStore } from '../../lib/stores/postgres-attachment.store.js';
import { tableNames } from '../../lib/stores/table-names.js';
import { resolveSettings } from '../../lib/taskbridge.settings.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { DAY_MS, GONE, HOUR_MS, makeOlder, reported, retentionOf, seedTask, storedRows } from '../support/retention.js';
import { createTestStores, newTask, type TestStores } from '../support/stores.js';

beforeAll(() => Logger.overrideLogger(false));

describe('retention', () => {
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

  const rows = (taskId?: string) => storedRows(opened.dataSource, taskId);
  const update = (set: string, taskId: string) =>
    opened.dataSource.query(`update ${tableNames(opened.dataSource).tasks} set ${set} where task_id = $1`, [taskId]);
  const findings = async () =>
    (await verifyTaskBridge(opened.dataSource, { retainedMs: HOUR_MS })).findings.map(({ code }) => code);
  const seqs = async (taskId: string) => (await stores.events.listAfter(taskId, 0, 10_000)).map(({ seq }) => seq);
  const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

  it('keeps tasks and events by default, and answers and questions for thirty days after the end', async () => {
    const old = await seedTask(stores, { questions: 3, files: ['a'], ageMs: 31 * DAY_MS });
    const recent = await seedTask(stores, { questions: 3, ageMs: 29 * DAY_MS });
    const open = await seedTask(stores, { questions: 3, end: false, ageMs: 400 * DAY_MS });
    const before = [await rows(old), await rows(recent), await rows(open)];
    expect(await retentionOf(stores, {}).run()).toEqual(reported({ receipts: 2, suspensions: 3 }));
    expect([await rows(old), await rows(recent), await rows(open)]).toEqual([
      { ...before[0], receipts: 0, suspensions: 0 },
      before[1],
      before[2],
    ]);
  });

  it('reports in a dry run exactly what the run then deletes, and deletes nothing', async () => {
    const options = {
      tasks: { olderThanMs: 10 * DAY_MS, byType: { audit: false as const, chat: DAY_MS } },
      receiptsOlderThanMs: 2 * DAY_MS,
      suspensionsOlderThanMs: 3 * DAY_MS,
      trim: { olderThanMs: HOUR_MS, keepEvents: 5, openTasks: true },
      batchSize: 20,
    };
    for (const ageMs of [0, 2 * HOUR_MS, 1.5 * DAY_MS, 2.5 * DAY_MS, 4 * DAY_MS, 11 * DAY_MS]) {
      for (const taskType of ['demo', 'audit', 'chat']) {
        await seedTask(stores, { taskType, questions: 3, progress: 15, files: ['x', 'y'], ageMs });
        await seedTask(stores, { taskType, questions: 2, progress: 3, ageMs, end: false });
        await seedTask(stores, { taskType, progress: 90, ageMs });
        await seedTask(stores, { taskType, progress: 40, ageMs, end: false });
      }
    }
    const before = await rows();
    const retention = retentionOf(stores, options);
    const preview = await retention.preview();
    expect(await rows()).toEqual(before);
    const report = await retention.run();
    expect(preview).toEqual({ ...report, dryRun: true });
    const after = await rows();
    expect(report.tasksByType).toEqual({ demo: 2, chat: 8 });
    expect(report).toMatchObject({ tasks: 10, attachments: 10 });
    expect(before.tasks - after.tasks).toBe(report.tasks);
    expect(before.events - after.events).toBe(report.events + report.trimmedEvents);
    expect(before.receipts - after.receipts).toBe(report.receipts);
    expect(before.suspensions - after.suspensions).toBe(report.suspensions);
    expect([before.attachments - after.attachments, before.chunks - after.chunks]).toEqual([10, 10]);
    for (const count of [report.receipts, report.suspensions, report.trimmedLogs]) expect(count).toBeGreaterThan(5);
    expect(await retention.preview()).toEqual(reported({ dryRun: true }));
    expect(await retention.run()).toEqual(reported());
    expect(await findings()).toEqual([]);
  });

  it('leaves open tasks and pending hand-offs alone, however old they are', async () => {
    const open = await seedTask(stores, { questions: 2, progress: 5, end: false, ageMs: 500 * DAY_MS });
    const submitting = await seedTask(stores, { ageMs: 500 * DAY_MS });
    const cancelling = await seedTask(stores, { ageMs: 500 * DAY_MS });
    const resuming = await seedTask(stores, { questions: 3, ageMs: 500 * DAY_MS });
    await update('submission_state = 1', submitting);
    await update('cancel_state = 1', cancelling);
    const { receipts } = tableNames(opened.dataSource);
    await opened.dataSource.query(
      `update ${receipts} set resume_state = 1 where task_id = $1 and client_action_id = 'a1'`,
      [resuming],
    );
    const retention = retentionOf(stores, {
      tasks: { olderThanMs: 0 },
      receiptsOlderThanMs: 0,
      suspensionsOlderThanMs: 0,
      trim: { olderThanMs: 0 },
    });
    const preview = await retention.preview();
    const report = await retention.run();
    expect(report).toEqual(reported({ receipts: 1, suspensions: 2 }));
    expect(preview).toEqual({ ...report, dryRun: true });
    expect(await rows(open)).toMatchObject({ tasks: 1, receipts: 1, suspensions: 2 });
    expect(await seqs(open)).toEqual(from(1, 9));
    expect(await rows(submitting)).toMatchObject({ tasks: 1, events: 2 });
    expect(await rows(cancelling)).toMatchObject({ tasks: 1, events: 2 });
    expect(await rows(resuming)).toMatchObject({ tasks: 1, events: 7, receipts: 1, suspensions: 1 });
    expect(await stores.receipts.getReceipt(resuming, 'a1')).toMatchObject({ suspendId: 'q1' });
    await stores.suspensions.markResumeDispatched(resuming, 'a1');
    expect((await retention.run()).tasksByType).toEqual({ demo: 1 });
  });

  it('frees the idempotency key of a deleted task', async () => {
    const key = { ownerId: 'ann', clientRequestId: 'the key' };
    const first = await stores.registry.createTask(newTask(key));
    await stores.events.append({
      taskId: first.task.taskId,
      type: 'TASK_CANCELLED',
      payload: { reason: 'r' },
      attempt: null,
    });
    await makeOlder(opened.dataSource, first.task.taskId, 2 * HOUR_MS);
    expect((await stores.registry.createTask(newTask(key))).created).toBe(false);
    await retentionOf(stores, { tasks: { olderThanMs: HOUR_MS } }).run();
    const again = await stores.registry.createTask(newTask(key));
    expect(again.created).toBe(true);
    expect(again.task.taskId).not.toBe(first.task.taskId);
  });

  it('deletes a log that is longer than a batch from its start, and says where it starts at each step', async () => {
    const taskId = await seedTask(stores, { progress: 95, files: ['f'], questions: 2, ageMs: 2 * HOUR_MS });
    const options = { tasks: { olderThanMs: HOUR_MS }, batchSize: 20, pauseMs: 1_000 };
    const stopping = new AbortController();
    const running = retentionOf(stores, options).run({ signal: stopping.signal });
    const starts = new Set<number>();
    await eventually(async () => {
      const task = await stores.registry.getTask(taskId);
      const stored = await seqs(taskId);
      if (task !== undefined) starts.add(task.retainedFromSeq);
      expect(stored).toEqual(from(stored[0] ?? 0, 100));
      return task?.retainedFromSeq === 41;
    });
    stopping.abort();
    const report = await running;
    expect(report).toMatchObject({ tasks: 0, events: 40 });
    expect([...starts].every((start) => start % 20 === 1)).toBe(true);
    expect(await seqs(taskId)).toEqual(from(41, 100));
    expect(await findings()).toEqual([]);
    const rest = await retentionOf(stores, { ...options, pauseMs: 0 }).run();
    expect(rest).toMatchObject({ tasks: 1, events: 60, attachments: 0, suspensions: 2, receipts: 1 });
    expect(await rows(taskId)).toEqual(GONE);
  });

  it('trims finished logs to their floor and never the terminal event', async () => {
    const long = await seedTask(stores, { progress: 98, ageMs: 2 * HOUR_MS });
    const short = await seedTask(stores, { progress: 5, ageMs: 2 * HOUR_MS });
    const young = await seedTask(stores, { progress: 98 });
    const open = await seedTask(stores, { progress: 98, end: false, ageMs: 2 * HOUR_MS });
    const trim = { olderThanMs: HOUR_MS, keepEvents: 10 };
    const report = await retentionOf(stores, { trim, batchSize: 25 }).run();
    expect(report).toEqual(reported({ trimmedLogs: 1, trimmedEvents: 90 }));
    expect(await seqs(long)).toEqual(from(91, 100));
    expect(await stores.registry.getTask(long)).toMatchObject({ retainedFromSeq: 91, lastSeq: 100 });
    expect([await seqs(short), await seqs(young), await seqs(open)]).toEqual([from(1, 7), from(1, 100), from(1, 99)]);
    const floor = retentionOf(stores, { trim: { olderThanMs: HOUR_MS, keepEvents: 1 } });
    expect((await floor.run()).trimmedEvents).toBe(9 + 6);
    expect((await stores.events.listAfter(long, 0, 10)).map(({ seq, type }) => [seq, type])).toEqual([
      [100, 'TASK_COMPLETED'],
    ]);
  });

  it('trims open logs only when told to, by the age of events, and never past an open question', async () => {
    const running = await seedTask(stores, { progress: 49, end: false, ageMs: 2 * HOUR_MS });
    const asking = await seedTask(stores, { progress: 9, questions: 1, end: false });
    const { task: asked } = { task: await stores.registry.getTask(asking) };
    await Promise.all(from(1, 20).map(() => progress(asking, asked?.attempt ?? 0)));
    await makeOlder(opened.dataSource, asking, 2 * HOUR_MS);
    const fresh = await seedTask(stores, { progress: 30, end: false, ageMs: 2 * HOUR_MS });
    await Promise.all(from(1, 15).map(() => progress(fresh, 1)));
    const trim = { olderThanMs: HOUR_MS, keepEvents: 10, openTasks: true };
    const retention = retentionOf(stores, { trim, batchSize: 7 });
    expect(await retention.preview()).toMatchObject({ trimmedLogs: 3, trimmedEvents: 40 + 10 + 31 });
    expect(await retention.run()).toEqual(reported({ trimmedLogs: 3, trimmedEvents: 40 + 10 + 31 }));
    expect(await seqs(running)).toEqual(from(41, 50));
    expect(await seqs(asking)).toEqual(from(11, 31));
    expect(await seqs(fresh)).toEqual(from(32, 46));
    expect((await stores.suspensions.listOpen(asking)).map(({ eventSeq }) => eventSeq)).toEqual([11]);
    const next = await stores.events.append({
      taskId: running,
      type: 'TASK_COMPLETED',
      payload: { result: 1 },
      attempt: 1,
    });
    expect(next.seq).toBe(51);
    expect(await stores.registry.getTask(running)).toMatchObject({ retainedFromSeq: 41, status: 'COMPLETED' });
  });

  const progress = (taskId: string, attempt: number) =>
    stores.events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt });

  it('never loses an event that is appended while the log is trimmed', async () => {
    const taskId = await seedTask(stores, { progress: 200, end: false, ageMs: 2 * HOUR_MS });
    const store = new TaskRetentionStore(opened.dataSource);
    const asOfMs = await store.now();
    const appending = new AbortController();
    const trimming = (async () => {
      while (!appending.signal.aborted)
        await store.trimOpen(taskId, { keepEvents: 1, olderThanMs: 0 }, asOfMs + HOUR_MS, 3);
    })();
    for (let round = 0; round < 40; round += 1) await Promise.all(from(1, 10).map(() => progress(taskId, 1)));
    appending.abort();
    await trimming;
    const task = await stores.registry.getTask(taskId);
    expect(task?.lastSeq).toBe(601);
    expect(await seqs(taskId)).toEqual(from(task?.retainedFromSeq ?? 0, 601));
  });

  it('goes past a task that somebody holds, and takes it the next time', async () => {
    const held = await seedTask(stores, { progress: 50, ageMs: 2 * HOUR_MS });
    const others = [await seedTask(stores, { ageMs: HOUR_MS * 1.5 }), await seedTask(stores, { ageMs: HOUR_MS * 3 })];
    const retention = retentionOf(stores, { tasks: { olderThanMs: HOUR_MS }, batchSize: 10 });
    await stores.registry.transaction(async (manager) => {
      await stores.registry.getTask(held, { manager, lock: true });
      expect((await retention.run()).tasks).toBe(2);
    });
    expect(await rows(held)).toMatchObject({ tasks: 1, events: 52 });
    for (const taskId of others) expect(await rows(taskId)).toEqual(GONE);
    expect(await retention.run()).toMatchObject({ tasks: 1, events: 52 });
    expect(await rows()).toEqual(GONE);
  });

  it('keeps a task whose files its store cannot remove, and goes on with the others', async () => {
    const stuck = await seedTask(stores, { files: ['stuck'], ageMs: 2 * HOUR_MS });
    const other = await seedTask(stores, { files: ['other'], ageMs: 2 * HOUR_MS });
    class BrokenStore extends PostgresAttachmentStore {
      override async removeOf(taskIds: readonly string[]): Promise<number> {
        if (taskIds.includes(stuck)) throw new Error('the bucket is locked');
        return super.removeOf(taskIds);
      }
    }
    const options = { tasks: { olderThanMs: HOUR_MS } };
    const report = await retentionOf(stores, options, new BrokenStore(opened.dataSource)).run();
    expect(report).toMatchObject({ tasks: 1, attachments: 1 });
    expect([await rows(stuck), await rows(other)]).toEqual([
      { ...GONE, tasks: 1, events: 2, attachments: 1, chunks: 1 },
      GONE,
    ]);
    expect(await retentionOf(stores, options).run()).toMatchObject({ tasks: 1, attachments: 1 });
  });

  it('removes large files in steps, and no others', async () => {
    const content = Readable.from(Array.from({ length: 40 }, () => Buffer.alloc(256 * 1024, 7)));
    const taskId = await seedTask(stores, { files: ['small'], ageMs: 2 * HOUR_MS });
    const kept = await seedTask(stores, { files: ['kept'] });
    const upload = { name: 'large', contentType: 'text/plain', position: 1, content };
    await stores.attachments.bind(taskId, [await stores.attachments.stage(upload)]);
    expect((await rows(taskId)).chunks).toBe(41);
    const report = await retentionOf(stores, { tasks: { olderThanMs: HOUR_MS } }).run();
    expect(report).toMatchObject({ tasks: 1, attachments: 2 });
    expect([await rows(taskId), (await rows(kept)).chunks]).toEqual([GONE, 1]);
    const { attachmentChunks } = tableNames(opened.dataSource);
    expect(await opened.dataSource.query(`select count(*)::int as n from ${attachmentChunks}`)).toEqual([{ n: 1 }]);
  });

  it('counts in the metrics what it deletes, and not what it previews', async () => {
    await seedTask(stores, { progress: 3, questions: 2, ageMs: 2 * HOUR_MS });
    const counted: Record<string, number> = {};
    const metrics = {
      count: (name: string, by = 1, labels: Readonly<Record<string, string>> = {}) =>
        void (counted[`${name} ${labels.kind}`] = (counted[`${name} ${labels.kind}`] ?? 0) + by),
      gauge: () => undefined,
      observe: () => undefined,
    };
    const retention = retentionOf(stores, { tasks: { olderThanMs: HOUR_MS } }, stores.attachments, metrics);
    await retention.preview();
    expect(counted).toEqual({});
    await retention.run();
    const name = 'taskbridge_retention_deleted_total';
    expect(counted).toEqual({
      [`${name} tasks`]: 1,
      [`${name} events`]: 8,
      [`${name} receipts`]: 1,
      [`${name} suspensions`]: 2,
    });
  });
});

describe('retention settings', () => {
  it.each([
    [{ tasks: { olderThanMs: -1 } }, 'retention.tasks.olderThanMs'],
    [{ tasks: { byType: { chat: Number.NaN } } }, 'retention.tasks.byType["chat"]'],
    [{ receiptsOlderThanMs: -5 }, 'retention.receiptsOlderThanMs'],
    [{ batchSize: 0 }, 'retention.batchSize'],
    [{ batchSize: 5_001 }, 'retention.batchSize'],
    [{ trim: { keepEvents: 1.5 } }, 'retention.trim.keepEvents'],
    [{ trim: { keepEvents: 0 } }, 'retention.trim.keepEvents'],
    [{ trim: { openTasks: true, olderThanMs: 30_000 } }, 'retention.trim.olderThanMs'],
  ])('refuse %j', (retention, name) => {
    expect(() => resolveSettings({}, { retention })).toThrow(name);
  });

  it('keep what is left out at its default', () => {
    expect(
      resolveSettings({}, { retention: { tasks: { byType: { chat: 5 } }, pauseMs: undefined } }).retention,
    ).toEqual({
      enabled: true,
      tasks: { olderThanMs: false, byType: { chat: 5 } },
      receiptsOlderThanMs: 30 * DAY_MS,
      suspensionsOlderThanMs: 30 * DAY_MS,
      trim: { olderThanMs: false, keepEvents: 1_000, openTasks: false },
      intervalMs: HOUR_MS,
      batchSize: 2_000,
      pauseMs: 100,
    });
  });
});
