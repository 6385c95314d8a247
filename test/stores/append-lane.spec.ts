import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { NoMetrics } from '../../lib/observability/metrics-sink.js';
import type { AppendCommand } from '../../lib/stores/event.store.js';
import { eventually } from '../support/eventually.js';
import { holdRow } from '../support/held-row.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { createTask, createTestStores, startTask, type TestStores } from '../support/stores.js';

function progress(task: { taskId: string; attempt: number }, appendNo?: number): AppendCommand<'TASK_PROGRESS'> {
  return { ...task, type: 'TASK_PROGRESS', payload: { progress: 1 }, appendNo };
}

function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'resolved',
    (error: { code: string }) => error.code,
  );
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

const KILL_LANES = `select pg_terminate_backend(pid) from pg_stat_activity
where application_name like 'taskbridge-append%' and datname = current_database()`;

describe('the append lane', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;
  const others: TestStores[] = [];

  beforeAll(async () => {
    Logger.overrideLogger(false);
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
  });
  afterAll(async () => {
    for (const other of others) await other.close();
    await stores.close();
    await opened.close();
  });

  function anotherProcess(options: Parameters<typeof createTestStores>[1] = {}, metrics?: NoMetrics): TestStores {
    const created = createTestStores(opened.dataSource, options, metrics);
    others.push(created);
    return created;
  }

  async function seqsOf(taskId: string): Promise<number[]> {
    return (await stores.events.listAfter(taskId, 0, 100_000)).map(({ seq }) => seq);
  }

  describe('repeats', () => {
    it('are recognised by number, also within one flush and after the task has ended', async () => {
      const task = await startTask(stores);
      const twice = await Promise.all([
        stores.events.append(progress(task, 2)),
        stores.events.append(progress(task, 2)),
      ]);
      expect(twice.map(({ seq, deduplicated }) => [seq, deduplicated])).toEqual([
        [2, false],
        [2, true],
      ]);
      expect(twice[1]?.createdAt).toBe(twice[0]?.createdAt);
      await stores.events.append({ ...task, type: 'TASK_COMPLETED', payload: { result: 1 }, appendNo: 3 });
      expect(await stores.events.append(progress(task, 2))).toMatchObject({ seq: 2, deduplicated: true });
      expect(await codeOf(stores.events.append(progress(task, 4)))).toBe('TASK_ALREADY_TERMINAL');
    });

    it('are recognised after the attempt was superseded', async () => {
      const task = await startTask(stores);
      await stores.events.append(progress(task, 2));
      await stores.leases.beginAttempt(task.taskId);
      expect(await stores.events.append(progress(task, 2))).toMatchObject({ seq: 2, deduplicated: true });
      expect(await codeOf(stores.events.append(progress(task, 3)))).toBe('ATTEMPT_SUPERSEDED');
    });

    it('of a number that was refused are refused again', async () => {
      const { taskId } = await createTask(stores);
      const attempt = await stores.leases.beginAttempt(taskId);
      const task = { taskId, attempt };
      expect(await codeOf(stores.events.append(progress(task, 1)))).toBe('INVALID_TASK_STATE');
      await stores.events.append({ ...task, type: 'TASK_STARTED', payload: {}, appendNo: 2 });
      expect(await codeOf(stores.events.append(progress(task, 1)))).toBe('INVALID_TASK_STATE');
      expect(await seqsOf(taskId)).toEqual([1]);
    });

    it('are recognised by id, in one flush, in two lanes and in a transaction', async () => {
      const task = await startTask(stores);
      const append = { ...progress(task), appendId: uuidv7() };
      const other = anotherProcess();
      const results = await Promise.all([
        stores.events.append(append),
        stores.events.append(append),
        other.events.append(append),
        stores.registry.transaction((manager) => stores.events.append(append, { manager })),
      ]);
      expect(results.map(({ seq }) => seq)).toEqual([2, 2, 2, 2]);
      expect(results.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1);
    });

    it('number anew in each attempt and may skip numbers', async () => {
      const task = await startTask(stores);
      await stores.events.append(progress(task, 17));
      const attempt = await stores.leases.beginAttempt(task.taskId);
      expect(await stores.events.append(progress({ ...task, attempt }, 2))).toMatchObject({ seq: 3 });
    });
  });

  describe('refusals', () => {
    it('leave the rest of their flush alone', async () => {
      const [good, ended] = [await startTask(stores), await startTask(stores)];
      await stores.events.append({ ...ended, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null });
      const codes = await Promise.all([
        codeOf(stores.events.append(progress(good, 2))),
        codeOf(stores.events.append(progress(ended, 2))),
        codeOf(stores.events.append(progress({ taskId: uuidv7(), attempt: 1 }))),
        codeOf(stores.events.append(progress({ taskId: 'no uuid', attempt: 1 }))),
        codeOf(stores.events.append(progress({ ...good, attempt: 99 }))),
        codeOf(stores.events.append(progress(good, 3))),
      ]);
      expect(codes).toEqual([
        'resolved',
        'TASK_ALREADY_TERMINAL',
        'TASK_NOT_FOUND',
        'TASK_NOT_FOUND',
        'ATTEMPT_SUPERSEDED',
        'resolved',
      ]);
      expect(await seqsOf(good.taskId)).toEqual([1, 2, 3]);
    });

    it('of an input that only the database can judge leave the rest of their flush alone', async () => {
      await opened.dataSource.query(
        `alter table taskbridge_events add constraint no_poison check (payload::text not like '%poison%') not valid`,
      );
      const tasks = await Promise.all([1, 2, 3, 4, 5].map(() => startTask(stores)));
      const codes = await Promise.all(
        tasks.flatMap((task, index) => [
          codeOf(
            index === 2
              ? stores.events.append({ ...task, type: 'TASK_MESSAGE', payload: { message: 'poison' }, appendNo: 2 })
              : stores.events.append(progress(task, 2)),
          ),
          codeOf(stores.events.append(progress(task, 3))),
        ]),
      );
      expect(codes).toEqual(tasks.flatMap((_, index) => [index === 2 ? 'INTERNAL_ERROR' : 'resolved', 'resolved']));
      expect(await Promise.all(tasks.map(({ taskId }) => seqsOf(taskId)))).toEqual(
        tasks.map((_, index) => upTo(index === 2 ? 2 : 3)),
      );
    });

    it('of text that Postgres cannot store come before the queue', async () => {
      const task = await startTask(stores);
      const message = (text: string) =>
        codeOf(stores.events.append({ ...task, type: 'TASK_MESSAGE', payload: { message: text } }));
      expect(await message('a\0b')).toBe('REQUEST_VALIDATION_ERROR');
      expect(await message('half \ud83d pair')).toBe('REQUEST_VALIDATION_ERROR');
      expect(await message('other half \ude00')).toBe('REQUEST_VALIDATION_ERROR');
      expect(await message('\\u0000 \\\\ud83d written out, \u0001, 😀')).toBe('resolved');
      const [, event] = await stores.events.listAfter(task.taskId, 0, 10);
      expect(JSON.parse(event?.payloadJson ?? '')).toEqual({ message: '\\u0000 \\\\ud83d written out, \u0001, 😀' });
    });

    it('of payloads beyond the limit count bytes', async () => {
      const small = anotherProcess({ append: { maxPayloadBytes: 100 } });
      const task = await startTask(stores);
      const message = (text: string) =>
        codeOf(small.events.append({ ...task, type: 'TASK_MESSAGE', payload: { message: text } }));
      expect(await message('x'.repeat(100 - '{"message":""}'.length))).toBe('resolved');
      expect(await message('x'.repeat(101 - '{"message":""}'.length))).toBe('PAYLOAD_TOO_LARGE');
      expect(await message('ü'.repeat(44))).toBe('PAYLOAD_TOO_LARGE');
    });

    it('of payloads that are no JSON name the field', async () => {
      const task = await startTask(stores);
      const circular: Record<string, unknown> = {};
      circular['self'] = circular;
      const append = (result: unknown) =>
        stores.events.append({ ...task, type: 'TASK_COMPLETED', payload: { result } }).catch((error: unknown) => error);
      expect(await append(circular)).toMatchObject({
        code: 'REQUEST_VALIDATION_ERROR',
        details: { fields: [{ field: 'payload' }] },
      });
      expect(await append(1n)).toMatchObject({ code: 'REQUEST_VALIDATION_ERROR' });
      expect(await codeOf(stores.events.append({ ...progress(task), appendId: `'; drop table x` }))).toBe(
        'REQUEST_VALIDATION_ERROR',
      );
    });
  });

  describe('order and flow', () => {
    it('keeps the order of the calls over flushes, a full queue and many tasks', async () => {
      const narrow = anotherProcess({ append: { maxFlushEvents: 7, maxQueued: 10, maxFlushBytes: 1_500 } });
      const tasks = await Promise.all([1, 2, 3, 4].map(() => startTask(stores)));
      const results = await Promise.all(
        upTo(50).flatMap((n) => tasks.map((task) => narrow.events.append(progress(task, n + 1)))),
      );
      expect(results.map(({ seq }) => seq)).toEqual(upTo(50).flatMap((n) => tasks.map(() => n + 1)));
    });

    it('publishes what it appended, in order, before the callers hear of it', async () => {
      const own = anotherProcess();
      const task = await startTask(own);
      own.wakeUps.events.length = 0;
      const seen: number[] = [];
      await Promise.all(
        [2, 3, 4].map(async (no) => {
          await own.events.append(progress(task, no));
          seen.push(own.wakeUps.events.length);
        }),
      );
      expect(own.wakeUps.events.map(({ seq, payloadJson }) => [seq, payloadJson])).toEqual([
        [2, '{"progress":1}'],
        [3, '{"progress":1}'],
        [4, '{"progress":1}'],
      ]);
      expect(seen).toEqual([3, 3, 3]);
      await own.events.append(progress(task, 4));
      expect(own.wakeUps.events).toHaveLength(3);
    });

    it('writes everything before a drain ends and refuses after it is closed', async () => {
      const own = createTestStores(opened.dataSource);
      const task = await startTask(own);
      const appends = upTo(200).map((n) => own.events.append(progress(task, n + 1)));
      await own.lane.drain();
      expect(await seqsOf(task.taskId)).toEqual(upTo(201));
      await own.close();
      await own.lane.close();
      await Promise.all(appends);
      expect(await codeOf(own.events.append(progress(task, 300)))).toBe('SERVICE_UNAVAILABLE');
    });
  });

  describe('a row that somebody holds', () => {
    it('delays its own task only', async () => {
      const own = anotherProcess({ append: { lockTimeoutMs: 50 } });
      const held = await startTask(own);
      const free = await startTask(own);
      const runner = opened.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.query(`update taskbridge_tasks set metadata = metadata where task_id = $1`, [held.taskId]);
      const settled: string[] = [];
      const waiting = [2, 3, 4].map((no) => own.events.append(progress(held, no)).then(() => settled.push('held')));
      const startedAt = performance.now();
      while (performance.now() - startedAt < 1_000) await own.events.append(progress(free));
      const appended = (await seqsOf(free.taskId)).length;
      expect(settled).toEqual([]);
      expect(appended).toBeGreaterThan(20);
      waiting.push(own.events.append(progress(held, 5)).then(() => settled.push('held')));
      await runner.commitTransaction();
      await runner.release();
      await Promise.all(waiting);
      expect(await seqsOf(held.taskId)).toEqual(upTo(5));
    });

    it('keeps as many appends of its task waiting as the lane queues, takes nobody the room, and counts them', async () => {
      const metrics = new NoMetrics();
      const gauge = jest.spyOn(metrics, 'gauge');
      const own = anotherProcess({ append: { lockTimeoutMs: 50, maxQueued: 10, maxFlushEvents: 10 } }, metrics);
      const held = await Promise.all(upTo(3).map(() => startTask(stores)));
      const free = await startTask(stores);
      const rows = await Promise.all(held.map(({ taskId }) => holdRow(opened.database.url, taskId)));
      const waiting = held.map((task) => upTo(10).map((n) => own.events.append(progress(task, n + 1))));
      for (const n of upTo(15)) expect((await own.events.append(progress(free, n + 1))).seq).toBe(n + 1);
      expect(gauge).toHaveBeenLastCalledWith('taskbridge_append_queue_size', 30);
      for (const row of rows) await row.release();
      for (const appends of waiting) {
        expect((await Promise.all(appends)).map(({ seq }) => seq)).toEqual(upTo(11).slice(1));
      }
    });

    it('refuses an append of its task that would be one too many to wait, and writes those that wait', async () => {
      const own = anotherProcess({ append: { lockTimeoutMs: 50, maxQueued: 10 } });
      const held = await startTask(stores);
      const row = await holdRow(opened.database.url, held.taskId);
      const appends = upTo(25).map((n) => own.events.append(progress(held, n + 1)));
      const refused = await Promise.all(appends.slice(10).map((append) => codeOf(append)));
      expect(new Set(refused)).toEqual(new Set(['SERVICE_UNAVAILABLE']));
      await row.release();
      expect((await Promise.all(appends.slice(0, 10))).map(({ seq }) => seq)).toEqual(upTo(11).slice(1));
      expect((await own.events.append(progress(held, 30))).seq).toBe(12);
    });

    it('delays its own task only where a statement may take less time than the lane waits for a row', async () => {
      const url = new URL(opened.database.url);
      url.searchParams.set('options', '-c statement_timeout=1000');
      const own = anotherProcess({ append: { lockTimeoutMs: 2_000 }, direct: { url: url.href } });
      const held = await startTask(stores);
      const free = await startTask(stores);
      const row = await holdRow(opened.database.url, held.taskId);
      const waiting = [2, 3].map((no) => own.events.append(progress(held, no)));
      // In one flush with the others, and after it.
      const passed = await Promise.all([2, 3, 4].map((no) => own.events.append(progress(free, no))));
      passed.push(await own.events.append(progress(free, 5)));
      expect(passed.map(({ seq }) => seq)).toEqual([2, 3, 4, 5]);
      await row.release();
      expect((await Promise.all(waiting)).map(({ seq }) => seq)).toEqual([2, 3]);
    }, 60_000);

    it('is seen to be free however the clock of this process jumps meanwhile', async () => {
      const own = anotherProcess({ append: { lockTimeoutMs: 50 } });
      const held = await startTask(own);
      const runner = opened.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.query(`select 1 from taskbridge_tasks where task_id = $1 for update`, [held.taskId]);
      const appended = own.events.append(progress(held, 2));
      // Behind it in the lane: when this is written, the other is parked.
      await startTask(own);
      const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() - 3_600_000);
      await runner.rollbackTransaction();
      await runner.release();
      const inTime = await Promise.race([appended, sleep(5_000, undefined, { ref: false })]);
      clock.mockRestore();
      expect(inTime?.seq).toBe(2);
    });

    it('is given up when the lane drains', async () => {
      const own = createTestStores(opened.dataSource, { append: { lockTimeoutMs: 50 } });
      const held = await startTask(own);
      const runner = opened.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.query(`select 1 from taskbridge_tasks where task_id = $1 for update`, [held.taskId]);
      const code = codeOf(own.events.append(progress(held, 2)));
      await own.close();
      expect(await code).toBe('SERVICE_UNAVAILABLE');
      await runner.rollbackTransaction();
      await runner.release();
    });

    it('is unparked also when the task has gone meanwhile', async () => {
      const own = anotherProcess({ append: { lockTimeoutMs: 50 } });
      const held = await startTask(own);
      const runner = opened.dataSource.createQueryRunner();
      await runner.startTransaction();
      await runner.query(`delete from taskbridge_tasks where task_id = $1`, [held.taskId]);
      const code = codeOf(own.events.append(progress(held, 2)));
      // Behind it in the lane: when this is written, the other is parked.
      await startTask(own);
      await runner.commitTransaction();
      await runner.release();
      expect(await code).toBe('TASK_NOT_FOUND');
    });
  });

  describe('a connection that is lost', () => {
    it('costs neither an event nor a duplicate', async () => {
      const own = anotherProcess();
      const tasks = await Promise.all(upTo(20).map(() => startTask(own)));
      let killed = 0;
      let appended = 0;
      const kill = async (): Promise<void> => {
        // Not before the lane has got on, however slow the machine is.
        if (appended < 100) return;
        appended = 0;
        killed += (await opened.dataSource.query<unknown[]>(KILL_LANES)).length;
      };
      const killing = setInterval(() => void kill(), 60);
      await Promise.all(
        tasks.map(async (task) => {
          for (let no = 2; no <= 150; no += 1) {
            await own.events.append(progress(task, no));
            appended += 1;
          }
        }),
      );
      clearInterval(killing);
      expect(killed).toBeGreaterThan(2);
      for (const { taskId } of tasks) expect(await seqsOf(taskId)).toEqual(upTo(150));
    });

    it('costs nothing to appends without a number either', async () => {
      const own = anotherProcess();
      const task = await startTask(own);
      const appends = upTo(300).map(() => own.events.append(progress(task)));
      await opened.dataSource.query(KILL_LANES);
      await Promise.all(appends);
      expect(await seqsOf(task.taskId)).toEqual(upTo(301));
    });

    it('is given up for a new one when its server turns out to be read-only', async () => {
      const standby = await openTestDatabase();
      const own = createTestStores(standby.dataSource);
      const task = await startTask(own);
      const admin = standby.dataSource.createQueryRunner();
      await admin.connect();
      const name = new URL(standby.database.url).pathname.slice(1);
      await admin.query(`alter database "${name}" set default_transaction_read_only = on`);
      await admin.query(KILL_LANES);
      const appended = own.events.append(progress(task, 2));
      const refused = `select 1 from pg_stat_activity where application_name like 'taskbridge-append%'
        and datname = current_database() and query like '%last_seq%'`;
      await eventually(async () => ((await admin.query(refused)) as unknown[]).length > 0);
      await admin.query(`set default_transaction_read_only = off`);
      await admin.query(`alter database "${name}" reset default_transaction_read_only`);
      expect((await appended).seq).toBe(2);
      await admin.release();
      await own.close();
      await standby.close();
    });

    it('while the database is out of reach fails in the end, with the cause', async () => {
      const own = createTestStores(opened.dataSource, { direct: { host: '127.0.0.1', port: 1 } });
      const task = await startTask(stores);
      const refused = own.events.append(progress(task, 2)).catch((error: unknown) => error);
      await own.lane.drain();
      expect(await refused).toMatchObject({ code: 'SERVICE_UNAVAILABLE', cause: { code: 'ECONNREFUSED' } });
      await own.close();
    });
  });
});
