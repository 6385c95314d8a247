import { type TestApp, startTestApp } from '../support/app.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { SCRIPTED_HANDLERS } from '../support/scripted-handlers.js';
import { oneTo, readPolls, readSse, readWebSocket, seqsOf } from '../support/stream-clients.js';

describe('two instances on one database', () => {
  let database: TestDatabase;
  let a: TestApp;
  let b: TestApp;

  beforeAll(async () => {
    database = await createTestDatabase();
    [a, b] = await Promise.all([
      startTestApp({ database, providers: SCRIPTED_HANDLERS }),
      // B serves and accepts, and runs nothing: what happens to A's tasks through B has to cross over.
      startTestApp({ database, taskBridge: { execution: false } }),
    ]);
  });

  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await database.drop();
  });

  it('a task created on A is followed live on B over every transport', async () => {
    const taskId = await a.as('ada').create('ticks', { ticks: 40, delayMs: 10 });
    const [sse, socket, polls] = await Promise.all([
      readSse(b.url, taskId, { subject: 'ada' }),
      readWebSocket(b.url, taskId, { subject: 'ada' }),
      readPolls(b.url, taskId, { subject: 'ada' }),
    ]);
    expect([seqsOf(sse.events), seqsOf(socket.events), seqsOf(polls)]).toEqual([oneTo(42), oneTo(42), oneTo(42)]);
    expect(socket.code).toBe(1000);
  });

  it('a task running on A is cancelled through B', async () => {
    const taskId = await a.as('ada').create('ticks', { ticks: 100_000, delayMs: 20 });
    await b.as('ada').until(taskId, (task) => task.status === 'RUNNING');
    await b.as('ada').post(`/api/v1/tasks/${taskId}/cancel`, { reason: 'through B' });
    const { events } = await readSse(a.url, taskId, { subject: 'ada' });
    expect(events.at(-1)).toMatchObject({ type: 'TASK_CANCELLED', payload: { reason: 'through B' } });
  });

  it('a question of a task on A is answered through B and resumed on A', async () => {
    const taskId = await a.as('ada').create('approval');
    const { openSuspensions } = await b.as('ada').until(taskId, (task) => task.openSuspensions.length === 1);
    const action = {
      clientActionId: 'through-b',
      suspendId: openSuspensions[0]?.suspendId,
      actionType: 'approve',
      payload: { note: 'ok' },
    };
    const answer = await b.as('ada').post(`/api/v1/tasks/${taskId}/actions`, action);
    expect([answer.status, answer.body['status']]).toEqual([202, 'ACCEPTED']);
    const { events } = await readSse(a.url, taskId, { subject: 'ada' });
    expect(events.at(-1)).toMatchObject({
      type: 'TASK_COMPLETED',
      payload: { result: { action: 'approve', by: 'ada', state: { asked: true } } },
    });
  });

  it('a task created on an instance that runs nothing is run by the other', async () => {
    const taskId = await b.as('ada').create('ticks', { ticks: 3 });
    const { events } = await readSse(b.url, taskId, { subject: 'ada' });
    expect(events.map(({ type }) => type)).toEqual([
      'TASK_STARTED',
      'TASK_PROGRESS',
      'TASK_PROGRESS',
      'TASK_PROGRESS',
      'TASK_COMPLETED',
    ]);
  });
});
