import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { TaskAnswer } from '../../lib/executors/task-handler.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually, gate, handler, TaskInstance, typesOf } from '../support/task-instance.js';

describe('A run that asks', () => {
  let database: TestDatabase;
  let one: TaskInstance;
  let answers: TaskAnswer[] = [];
  let resuming = 0;
  let mostResuming = 0;
  let hold = gate();

  const three = ['first', 'second', 'third'].map((suspendId) => ({
    suspendId,
    reasonCode: 'WHICH',
    allowedActions: ['go', 'stop'],
    state: { asked: suspendId },
  }));

  const handlersOf = (instance: string) => [
    handler('three', {
      run: async (task) => {
        void task.message('three questions follow');
        return task.suspend(three);
      },
      resume: async (task, answer) => {
        resuming += 1;
        mostResuming = Math.max(mostResuming, resuming);
        answers.push(answer);
        await task.message(`${answer.suspendId} was answered`);
        await hold.opened;
        resuming -= 1;
        return answer.suspendId === 'third' ? 'all answered' : task.keepWaiting();
      },
    }),
    handler(
      'alone',
      {
        run: async (task) =>
          task.input.ask === true ? task.suspend({ reasonCode: 'MAY_I', allowedActions: ['go'] }) : 'free',
        resume: async (_task, { acceptedBy, payload }) => ({ instance, acceptedBy, payload }),
      },
      { concurrency: 1 },
    ),
    handler('again', {
      run: async (task) => task.suspend({ suspendId: 'q1', reasonCode: 'ONE', allowedActions: ['go'], state: 1 }),
      resume: async (task, { state }) =>
        Number(state) < 3
          ? task.suspend({
              suspendId: `q${Number(state) + 1}`,
              reasonCode: 'NEXT',
              allowedActions: ['go'],
              state: Number(state) + 1,
            })
          : `asked ${String(state)} times`,
    }),
    handler('failing', {
      run: async (task) => task.suspend({ reasonCode: 'ONE', allowedActions: ['go'] }),
      resume: async () => {
        throw new Error('did not like the answer');
      },
    }),
    handler('expiring', {
      run: async (task) =>
        task.suspend({
          suspendId: 'soon',
          reasonCode: 'ONE',
          allowedActions: ['go'],
          expiresInMs: 100,
          onExpiry: { resume: 'go', payload: { byDefault: true } },
        }),
      resume: async (_task, { payload, acceptedBy }) => ({ payload, acceptedBy }),
    }),
  ];

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    one = await TaskInstance.open(database, handlersOf('one'), { reconciliation: { intervalMs: 100 } });
  });
  beforeEach(() => {
    answers = [];
    mostResuming = 0;
    hold = gate();
    hold.open();
  });
  afterAll(async () => {
    await one.close();
    await database.drop();
  });

  it('is resumed once per answer, one at a time, in the order of acceptance', async () => {
    hold = gate();
    const taskId = await one.create('three');
    await one.questions(taskId, 3);
    await one.answer(taskId, 'second', 'go', { n: 2 });
    await one.answer(taskId, 'first', 'stop');
    await one.answer(taskId, 'third', 'go');
    await eventually(() => resuming === 1);
    hold.open();
    const log = await one.end(taskId);
    expect(
      answers.map(({ suspendId, actionType, state, acceptedBy, payload }) => [
        suspendId,
        actionType,
        state,
        acceptedBy,
        payload,
      ]),
    ).toEqual([
      ['second', 'go', { asked: 'second' }, 'grace', { n: 2 }],
      ['first', 'stop', { asked: 'first' }, 'grace', null],
      ['third', 'go', { asked: 'third' }, 'grace', null],
    ]);
    expect(mostResuming).toBe(1);
    expect(log.at(-1)?.payload).toEqual({ result: 'all answered' });
    expect(typesOf(log).filter((type) => type === 'TASK_STARTED').length).toBe(1);
  });

  it('keeps waiting for the others after one answer, and logs reports before its questions', async () => {
    const taskId = await one.create('three');
    await one.questions(taskId, 3);
    await one.answer(taskId, 'first');
    await one.until(taskId, (log) => log.some(({ payload }) => payload.message === 'first was answered'));
    await eventually(async () => (await one.task(taskId)).leaseOwner === null);
    expect((await one.task(taskId)).status).toBe('RUNNING');
    await one.answer(taskId, 'third');
    const log = await one.end(taskId);
    expect(typesOf(log)).toEqual([
      'TASK_STARTED',
      'TASK_MESSAGE',
      'TASK_SUSPENDED',
      'TASK_SUSPENDED',
      'TASK_SUSPENDED',
      'TASK_ACTION_ACCEPTED',
      'TASK_MESSAGE',
      'TASK_ACTION_ACCEPTED',
      'TASK_MESSAGE',
      'TASK_COMPLETED',
    ]);
  });

  it('frees its worker while it waits', async () => {
    const waiting = await one.create('alone', { ask: true });
    const [question = ''] = await one.questions(waiting);
    const log = await one.end(await one.create('alone'));
    expect(log.at(-1)?.payload).toEqual({ result: 'free' });
    await one.answer(waiting, question);
    expect((await one.end(waiting)).at(-1)?.type).toBe('TASK_COMPLETED');
  });

  it('may ask again each time it is resumed', async () => {
    const taskId = await one.create('again');
    for (const suspendId of ['q1', 'q2', 'q3']) {
      await one.until(taskId, (log) =>
        log.some((entry) => entry.type === 'TASK_SUSPENDED' && entry.payload.suspendId === suspendId),
      );
      expect(await one.answer(taskId, suspendId)).toMatchObject({ status: 'ACCEPTED' });
    }
    expect((await one.end(taskId)).at(-1)?.payload).toEqual({ result: 'asked 3 times' });
  });

  it('fails the task when its resume throws', async () => {
    const taskId = await one.create('failing');
    const [question = ''] = await one.questions(taskId);
    await one.answer(taskId, question);
    expect((await one.end(taskId)).at(-1)?.payload).toMatchObject({
      code: 'TASK_EXECUTION_FAILED',
      message: 'did not like the answer',
    });
  });

  it('is resumed by the default action when nobody answers in time', async () => {
    const log = await one.end(await one.create('expiring'));
    expect(log.find(({ type }) => type === 'TASK_ACTION_ACCEPTED')?.payload.clientActionId).toBe('expiry:soon');
    expect(log.at(-1)?.payload).toEqual({ result: { payload: { byDefault: true }, acceptedBy: null } });
  });

  it('is resumed by another instance when its own is gone', async () => {
    const two = await TaskInstance.open(database, handlersOf('two'), { reconciliation: { intervalMs: 100 } });
    const taskId = await two.create('alone', { ask: true });
    const [question = ''] = await two.questions(taskId);
    await eventually(async () => (await two.task(taskId)).leaseOwner === null);
    await two.close();
    await one.answer(taskId, question, 'go', { really: true });
    expect((await one.end(taskId)).at(-1)?.payload).toEqual({
      result: { instance: 'one', acceptedBy: 'grace', payload: { really: true } },
    });
  });

  it('ends CANCELLED at once while it waits', async () => {
    const taskId = await one.create('three');
    await one.questions(taskId, 3);
    await eventually(async () => (await one.task(taskId)).leaseOwner === null);
    await one.cancel(taskId, 'changed my mind');
    const log = await one.log(taskId);
    expect(log.at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'changed my mind' } });
    expect(await one.answer(taskId, 'first')).toMatchObject({ status: 'REJECTED_ALREADY_RESOLVED' });
  });
});
