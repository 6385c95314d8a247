import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { createTestDataSource, createTestDatabase, type TestDatabase } from '../support/database.js';
import { ScriptedExecutor, UnresumableExecutor } from '../support/fake-executors.js';
import { TaskInstance, typesOf } from '../support/task-instance.js';

describe('TaskReporter', () => {
  let database: TestDatabase;
  let instance: TaskInstance;
  let reporter: TaskReporter;
  const question = { reasonCode: 'WHY', allowedActions: ['go'] };

  beforeAll(async () => {
    database = await createTestDatabase();
    await (await createTestDataSource(database)).destroy();
    instance = await TaskInstance.open(database, [], { executor: { useFactory: () => new ScriptedExecutor({}) } });
    reporter = instance.get(TaskReporter);
  });
  afterAll(async () => {
    await instance.close();
    await database.drop();
  });

  const begin = async () => {
    const taskId = await instance.create('any');
    return { taskId, attempt: await reporter.beginAttempt(taskId) };
  };

  it('logs every kind of report, each with its status', async () => {
    const { taskId, attempt } = await begin();
    expect(await attempt.started('off we go')).toMatchObject({ seq: 1, eventId: '1-0', deduplicated: false });
    expect((await instance.task(taskId)).status).toBe('RUNNING');
    await attempt.progress(10, { stage: 'reading', message: 'row 1' });
    await attempt.message('careful', 'warning');
    await attempt.fail({ message: 'too bad' });
    expect(await instance.log(taskId)).toEqual([
      { type: 'TASK_STARTED', payload: { message: 'off we go' } },
      { type: 'TASK_PROGRESS', payload: { progress: 10, stage: 'reading', message: 'row 1' } },
      { type: 'TASK_MESSAGE', payload: { message: 'careful', level: 'warning' } },
      { type: 'TASK_FAILED', payload: { code: 'TASK_EXECUTION_FAILED', message: 'too bad', retryable: false } },
    ]);
    expect((await instance.task(taskId)).status).toBe('FAILED');
  });

  it('fences the attempt before with each one that begins', async () => {
    const { taskId, attempt } = await begin();
    await attempt.started();
    const second = await reporter.beginAttempt(taskId);
    expect([attempt.attempt, second.attempt]).toEqual([1, 2]);
    await expect(attempt.complete()).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    await second.complete('by the second');
    expect((await instance.log(taskId)).at(-1)?.payload).toEqual({ result: 'by the second' });
  });

  it('refuses text that a superseded attempt streams, and logs it before a question of its own', async () => {
    const { taskId, attempt } = await begin();
    await attempt.started();
    const text = attempt.stream();
    void text.write('mine');
    await attempt.suspend({ ...question, suspendId: 'q' });
    await reporter.beginAttempt(taskId);
    void text.write('too late');
    await expect(text.flush()).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    await expect(text.write('more')).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    const log = await instance.log(taskId);
    expect(typesOf(log)).toEqual(['TASK_STARTED', 'TASK_MESSAGE', 'TASK_SUSPENDED']);
    expect(log[1]?.payload).toEqual({ message: 'mine', level: 'info' });
  });

  it('opens no attempt at a task that has ended or does not exist', async () => {
    const { taskId, attempt } = await begin();
    await attempt.started();
    await attempt.complete();
    await expect(reporter.beginAttempt(taskId)).rejects.toMatchObject({ code: 'TASK_ALREADY_TERMINAL' });
    await expect(reporter.beginAttempt(uuidv7())).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await expect(reporter.beginAttempt('not-an-id')).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
  });

  it('keeps the order of reports that nobody awaits, around questions too', async () => {
    const { taskId, attempt } = await begin();
    void attempt.started();
    for (let i = 1; i <= 30; i += 1) void attempt.progress(i);
    void attempt.suspend([
      { ...question, suspendId: 'a' },
      { ...question, suspendId: 'b' },
    ]);
    void attempt.message('after the questions');
    void attempt.suspend({ ...question, suspendId: 'c' });
    await attempt.complete();
    const log = await instance.log(taskId);
    expect(typesOf(log)).toEqual([
      'TASK_STARTED',
      ...Array.from({ length: 30 }, () => 'TASK_PROGRESS'),
      'TASK_SUSPENDED',
      'TASK_SUSPENDED',
      'TASK_MESSAGE',
      'TASK_SUSPENDED',
      'TASK_COMPLETED',
    ]);
    expect(log.slice(1, 31).map(({ payload }) => payload.progress)).toEqual(
      Array.from({ length: 30 }, (_, i) => i + 1),
    );
    const asked = log.filter(({ type }) => type === 'TASK_SUSPENDED').map(({ payload }) => payload.suspendId);
    expect(asked).toEqual(['a', 'b', 'c']);
  });

  it('goes on after reports that are refused', async () => {
    const { taskId, attempt } = await begin();
    await expect(attempt.progress(1)).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
    await attempt.started();
    const refused = [attempt.progress(101), attempt.message('x'.repeat(70_000)), attempt.message('\u0000')];
    const accepted = attempt.progress(2);
    const codes = (await Promise.allSettled(refused)).map(
      (result) => result.status === 'rejected' && result.reason.code,
    );
    expect(codes).toEqual(['REQUEST_VALIDATION_ERROR', 'PAYLOAD_TOO_LARGE', 'REQUEST_VALIDATION_ERROR']);
    await accepted;
    await expect(attempt.suspend({ ...question, allowedActions: [] })).rejects.toMatchObject({
      code: 'REQUEST_VALIDATION_ERROR',
    });
    await attempt.complete();
    expect(typesOf(await instance.log(taskId))).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_COMPLETED']);
  });

  it('lets several processes report for one attempt, each report once by its id', async () => {
    const { taskId, attempt } = await begin();
    await attempt.started();
    const [a, b] = [reporter.attach(taskId, attempt.attempt), reporter.attach(taskId, attempt.attempt)];
    const appendId = uuidv7();
    const results = [await a.message('once', 'info', { appendId }), await b.message('once', 'info', { appendId })];
    expect(results.map(({ seq, deduplicated }) => [seq, deduplicated])).toEqual([
      [2, false],
      [2, true],
    ]);
    await Promise.all([...Array(20).keys()].map((i) => (i % 2 === 0 ? a : b).progress(i)));
    await b.complete();
    expect((await instance.log(taskId)).length).toBe(23);
  });

  it('refuses to suspend where nobody could resume', async () => {
    const other = await TaskInstance.open(database, [], { executor: UnresumableExecutor });
    try {
      const taskId = await other.create('any');
      const attempt = await other.get(TaskReporter).beginAttempt(taskId);
      await attempt.started();
      await expect(attempt.suspend(question)).rejects.toMatchObject({
        code: 'INVALID_TASK_STATE',
        message: expect.stringMatching(/resumeTask/),
      });
      await attempt.complete();
      expect(typesOf(await other.log(taskId))).toEqual(['TASK_STARTED', 'TASK_COMPLETED']);
    } finally {
      await other.close();
    }
  });
});
