import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskContext } from '../../lib/executors/task-handler.js';
import { TaskFailedError } from '../../lib/taskbridge.errors.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { handler, TaskInstance, typesOf } from '../support/task-instance.js';

/** What plain JavaScript, or JSON cast to a type, hands over. */
const untyped = (value: unknown): never => value as never;
const thrower = (value: unknown) => async () => {
  throw value;
};
const asker = (request: unknown) => async (task: TaskContext) => task.suspend(untyped(request));
const QUESTION = { reasonCode: 'WHY', allowedActions: ['go'] };

const MISTAKES: Record<string, (task: TaskContext) => Promise<unknown>> = {
  'suspends with null': asker(null),
  'suspends with a list of nothing': asker([undefined]),
  'suspends with an expiry as text': asker({ ...QUESTION, expiresAt: '2030-01-01T00:00:00Z' }),
  'suspends with an expiry of null': asker({ ...QUESTION, expiresAt: null }),
  'suspends without actions but with schemas': asker({ reasonCode: 'WHY', actionSchemas: { go: {} } }),
  'suspends without actions but with a default': asker({ reasonCode: 'WHY', onExpiry: { resume: 'go' } }),
  'throws an object without a prototype': thrower(Object.create(null)),
  'throws a message that cannot be read': thrower({
    get message() {
      throw new Error('no');
    },
  }),
  'throws a hostile proxy': thrower(
    new Proxy(
      {},
      {
        get: () => {
          throw new Error('no');
        },
        has: () => {
          throw new Error('no');
        },
        getPrototypeOf: () => {
          throw new Error('no');
        },
      },
    ),
  ),
  'fails with a code that has a NUL': thrower(new TaskFailedError('m', { code: 'A\u0000B' })),
  'fails with a code of half a surrogate pair': thrower(new TaskFailedError('m', { code: '\ud800' })),
  'fails with a code that is too long': thrower(new TaskFailedError('m', { code: 'x'.repeat(100_000) })),
  'fails with a code that is no text': thrower(new TaskFailedError('m', { code: untyped(7) })),
};

describe('A mistake of a handler', () => {
  let database: TestDatabase;
  let instance: TaskInstance;

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    const handlers = Object.entries(MISTAKES).map(([type, run]) =>
      handler(type, { run, resume: async () => 'resumed' }),
    );
    const nothing = handler('returns what JSON leaves out', { run: async () => ({ toJSON: () => undefined }) });
    instance = await TaskInstance.open(database, [...handlers, nothing], {});
  });

  afterAll(async () => {
    await instance.close();
    await database.drop();
  });

  it.each(Object.keys(MISTAKES))('ends the task FAILED after one run when it %s', async (type) => {
    const log = await instance.end(await instance.create(type));
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_FAILED']);
  });

  it('completes the task with null when it returns what JSON leaves out', async () => {
    const log = await instance.end(await instance.create('returns what JSON leaves out'));
    expect(log.at(-1)).toEqual({ type: 'TASK_COMPLETED', payload: { result: null } });
  });
});
