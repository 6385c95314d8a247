import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskContext } from '../../lib/executors/task-handler.js';
import { TaskCreationService } from '../../lib/services/task-creation.service.js';
import { AttachmentStore } from '../../lib/stores/attachment.store.js';
import { TaskFailedError } from '../../lib/taskbridge.errors.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { aborted, eventually, gate, handler, TaskInstance, typesOf } from '../support/task-instance.js';

describe('A run of a handler', () => {
  let database: TestDatabase;
  let instance: TaskInstance;
  let kept: TaskContext | undefined;
  let running = 0;
  let most = 0;
  let hold = gate();
  const lateReasons: unknown[] = [];

  const handlers = [
    handler('sum', { run: async ({ input }) => Number(input.a) + Number(input.b) }),
    handler('nothing', { run: async () => undefined }),
    handler('throws', {
      run: async () => {
        throw new Error('the disk is full');
      },
    }),
    handler('quota', {
      run: async () => {
        throw new TaskFailedError('try again tomorrow', { code: 'QUOTA_EXCEEDED', retryable: true });
      },
    }),
    handler('huge', { run: async () => 'x'.repeat(100_000) }),
    handler('cycle', {
      run: async () => {
        const result: Record<string, unknown> = {};
        result.self = result;
        return result;
      },
    }),
    handler('burst', {
      run: async (task) => {
        for (let i = 1; i <= 50; i += 1) {
          void task.progress(i);
          // Refused by the payload check; must neither stop the others nor the process.
          if (i === 25) void task.progress(1_000);
        }
      },
    }),
    handler('keeps', {
      run: async (task) => {
        kept = task;
      },
    }),
    handler(
      'narrow',
      {
        run: async () => {
          running += 1;
          most = Math.max(most, running);
          await hold.opened;
          running -= 1;
        },
      },
      { concurrency: 3 },
    ),
    handler('files', {
      run: async (task) => Promise.all(task.attachments.map(async (file) => [file.name, await text(file.open())])),
    }),
    handler('late', { run: async ({ signal }) => lateReasons.push(await aborted(signal)) }, { deadlineMs: 300 }),
    handler('speechless', { run: async (task) => task.suspend({ reasonCode: 'WHY', allowedActions: ['go'] }) }),
    handler('forgetful', {
      run: async (task) => {
        task.suspend({ reasonCode: 'WHY', allowedActions: ['go'] });
        return 'done';
      },
      resume: async () => 'resumed',
    }),
    handler('patient', { run: async (task) => task.keepWaiting(), resume: async () => 'resumed' }),
    handler('twice', {
      run: async (task) => {
        const question = { suspendId: 'same', reasonCode: 'WHY', allowedActions: ['go'] };
        return task.suspend([question, question]);
      },
      resume: async () => 'resumed',
    }),
  ];

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    instance = await TaskInstance.open(database, handlers, { reconciliation: { intervalMs: 100 } });
  });
  afterAll(async () => {
    await instance.close();
    await database.drop();
  });

  const failureOf = async (taskType: string) => (await instance.end(await instance.create(taskType))).at(-1);

  it('logs its start and completes with the returned value', async () => {
    const log = await instance.end(await instance.create('sum', { a: 2, b: 3 }));
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_COMPLETED']);
    expect(log[1]?.payload).toEqual({ result: 5 });
  });

  it('completes with null when it returns nothing', async () => {
    const log = await instance.end(await instance.create('nothing'));
    expect(log.at(-1)).toEqual({ type: 'TASK_COMPLETED', payload: { result: null } });
  });

  it('fails the task with the thrown message', async () => {
    expect(await failureOf('throws')).toEqual({
      type: 'TASK_FAILED',
      payload: { code: 'TASK_EXECUTION_FAILED', message: 'the disk is full', retryable: false },
    });
  });

  it('fails the task with the code and the retry hint of a TaskFailedError', async () => {
    expect(await failureOf('quota')).toEqual({
      type: 'TASK_FAILED',
      payload: { code: 'QUOTA_EXCEEDED', message: 'try again tomorrow', retryable: true },
    });
  });

  it('fails the task when its result is too large for the log', async () => {
    const end = await failureOf('huge');
    expect([end?.type, end?.payload.code]).toEqual(['TASK_FAILED', 'TASK_EXECUTION_FAILED']);
    expect(end?.payload.message).toMatch(/exceeds 65536 bytes/);
  });

  it('fails the task when its result is not JSON', async () => {
    const end = await failureOf('cycle');
    expect([end?.type, end?.payload.code]).toEqual(['TASK_FAILED', 'TASK_EXECUTION_FAILED']);
  });

  it('keeps the order of reports that it does not await, without those that are refused', async () => {
    const log = await instance.end(await instance.create('burst'));
    const progress = log.filter(({ type }) => type === 'TASK_PROGRESS').map(({ payload }) => payload.progress);
    expect(progress).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(log.at(-1)?.type).toBe('TASK_COMPLETED');
  });

  it('cannot report any more once it has returned', async () => {
    const taskId = await instance.create('keeps');
    const before = await instance.end(taskId);
    await expect(kept?.progress(50)).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
    await expect(kept?.message('still here')).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
    expect(() => kept?.keepWaiting()).toThrow(/has ended/);
    expect(await instance.log(taskId)).toEqual(before);
  });

  it('waits in the queue while its type has no free slot, and no other type waits with it', async () => {
    hold = gate();
    const taskIds = await Promise.all(Array.from({ length: 8 }, () => instance.create('narrow')));
    await eventually(() => running === 3);
    await instance.end(await instance.create('sum', { a: 1, b: 1 }));
    expect([running, most]).toEqual([3, 3]);
    hold.open();
    const ends = await Promise.all(taskIds.map((taskId) => instance.end(taskId)));
    expect(ends.map((log) => log.at(-1)?.type)).toEqual(Array.from({ length: 8 }, () => 'TASK_COMPLETED'));
    expect(most).toBe(3);
  });

  it("reads the task's attachments as streams, by position", async () => {
    const store = instance.get(AttachmentStore);
    const stage = (name: string, position: number) =>
      store.stage({
        name,
        position,
        contentType: 'text/plain',
        content: Readable.from([Buffer.from(`${name} says hello`)]),
      });
    const attachments = [await stage('a.txt', 0), await stage('b.txt', 1)];
    const log = await instance.end(await instance.create('files', {}, { attachments }));
    expect(log.at(-1)?.payload.result).toEqual([
      ['a.txt', 'a.txt says hello'],
      ['b.txt', 'b.txt says hello'],
    ]);
  });

  it('fails with DEADLINE_EXCEEDED past the deadline of its type, and is told so', async () => {
    const log = await instance.end(await instance.create('late'));
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_FAILED']);
    expect(log[1]?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED', retryable: true });
    await eventually(() => lateReasons.length === 1);
    expect(lateReasons).toEqual(['DEADLINE']);
  });

  it('fails when it suspends and its handler could not resume', async () => {
    const end = await failureOf('speechless');
    expect(end?.payload.message).toMatch(/has no resume method/);
  });

  it('fails when it suspends and returns something else', async () => {
    const end = await failureOf('forgetful');
    expect(end?.payload.message).toMatch(/must return what task\.suspend\(\) gave it/);
  });

  it('fails when it keeps waiting for nothing', async () => {
    const end = await failureOf('patient');
    expect(end?.payload.message).toMatch(/no question is open/);
  });

  it('fails when its questions are refused', async () => {
    const log = await instance.end(await instance.create('twice'));
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_FAILED']);
  });

  it('is refused at creation for a type without a handler', async () => {
    await expect(instance.create('unheard-of')).rejects.toMatchObject({ code: 'REQUEST_VALIDATION_ERROR' });
  });

  it('belongs to one handler per type: a second one fails the boot', async () => {
    const twins = [handler('sum', { run: async () => 1 }), handler('sum', { run: async () => 2 })];
    await expect(TaskInstance.open(database, twins)).rejects.toThrow(/"sum" has two handlers/);
  });

  it('takes a deduplicated create as the same run', async () => {
    const command = {
      auth: { subject: 'ada', scopes: [], appId: null, attributes: {} },
      clientRequestId: 'once',
      taskType: 'sum',
      input: { a: 1, b: 2 },
    };
    const creation = instance.get(TaskCreationService);
    const results = await Promise.all(Array.from({ length: 10 }, () => creation.createTask(command)));
    const ids = new Set(results.map(({ taskId }) => taskId));
    expect([ids.size, results.filter(({ deduplicated }) => !deduplicated).length]).toEqual([1, 1]);
    expect(typesOf(await instance.end([...ids][0] ?? ''))).toEqual(['TASK_STARTED', 'TASK_COMPLETED']);
  });
});
