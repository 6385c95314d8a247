import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskStream } from '../../lib/executors/task-handler.js';
import type { LogEntry } from '../../lib/testing/index.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { handler, TaskInstance } from '../support/task-instance.js';

const TOKENS = Array.from({ length: 2_000 }, (_, index) => `token ${index} `);

/** The log in short: the text of messages, the type of everything else. */
const inShort = (log: readonly LogEntry[]) =>
  log.map(({ type, payload }) => (type === 'TASK_MESSAGE' ? payload.message : type));

describe('Streamed text', () => {
  let database: TestDatabase;
  let instance: TaskInstance;
  let kept: TaskStream | undefined;

  const handlers = [
    handler('mixed', {
      run: async (task) => {
        const text = task.stream();
        void text.write('a');
        void text.write('b');
        void task.progress(50);
        void text.write('c');
        void task.message('a line');
        void text.write('d');
        return 'done';
      },
    }),
    handler('asks', {
      run: async (task) => {
        void task.stream().write('before');
        return task.suspend({ suspendId: 'q', reasonCode: 'WHY', allowedActions: ['go'] });
      },
      resume: async (task) => {
        void task.stream({ level: 'debug' }).write('after');
      },
    }),
    handler('throws', {
      run: async (task) => {
        void task.stream().write('half a sentence');
        throw new Error('the model is gone');
      },
    }),
    handler('tokens', {
      run: async (task) => {
        const text = task.stream();
        for (const token of TOKENS) await text.write(token);
        await text.flush();
        return 'done';
      },
    }),
    handler('keeps', {
      run: async (task) => {
        kept = task.stream();
      },
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

  it('is logged before the reports that follow it', async () => {
    const log = await instance.end(await instance.create('mixed'));
    expect(inShort(log)).toEqual(['TASK_STARTED', 'ab', 'TASK_PROGRESS', 'c', 'a line', 'd', 'TASK_COMPLETED']);
  });

  it('is logged before the question of a run that suspends', async () => {
    const taskId = await instance.create('asks');
    await instance.questions(taskId);
    await instance.answer(taskId, 'q');
    const log = await instance.end(taskId);
    const texts = ['TASK_STARTED', 'before', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED', 'after', 'TASK_COMPLETED'];
    expect(inShort(log)).toEqual(texts);
    expect(log[1]?.payload).toEqual({ message: 'before', level: 'info' });
    expect(log[4]?.payload).toEqual({ message: 'after', level: 'debug' });
  });

  it('is logged before the failure of a run that throws', async () => {
    const log = await instance.end(await instance.create('throws'));
    expect(inShort(log)).toEqual(['TASK_STARTED', 'half a sentence', 'TASK_FAILED']);
  });

  it('comes in far fewer events than pieces, and complete', async () => {
    const log = await instance.end(await instance.create('tokens'));
    const texts = log.filter(({ type }) => type === 'TASK_MESSAGE').map(({ payload }) => String(payload.message));
    expect(texts.join('')).toBe(TOKENS.join(''));
    expect(texts.length).toBeLessThan(TOKENS.length / 2);
  });

  it('cannot go on once the run has ended', async () => {
    const taskId = await instance.create('keeps');
    const before = await instance.end(taskId);
    await expect(kept?.write('late')).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
    await expect(kept?.flush()).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
    expect(await instance.log(taskId)).toEqual(before);
  });
});
