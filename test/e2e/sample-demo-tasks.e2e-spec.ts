import { startSample, type RunningSample } from '../../sample/src/start-sample.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { SampleClient } from '../support/sample-client.js';

describe('sample: demo tasks', () => {
  let database: TestDatabase;
  let sample: RunningSample;
  let client: SampleClient;

  beforeAll(async () => {
    database = await createTestDatabase();
    sample = await startSample({ host: '127.0.0.1', port: 0, databaseUrl: database.url, logLevels: ['error'] });
    client = new SampleClient(sample.url);
  });

  afterAll(async () => {
    await sample?.app.close();
    await database?.drop();
  });

  it('ticks as often and as widely as the input says', async () => {
    const taskId = await client.createTask('demo.ticks', { ticks: 4, delayMs: 1, payloadBytes: 200 });
    const events = await client.follow(taskId);
    const ticks = events.flatMap((event) => (event.type === 'TASK_PROGRESS' ? [event.payload] : []));
    expect(ticks.map(({ progress }) => progress)).toEqual([25, 50, 75, 100]);
    expect(ticks.map(({ message }) => message?.length)).toEqual([200, 200, 200, 200]);
    expect(events.at(-1)?.payload).toEqual({ result: { ticks: 4 } });
  });

  it('stops ticking when it is cancelled during a delay', async () => {
    const taskId = await client.createTask('demo.ticks', { ticks: 2, delayMs: 60_000 });
    const events = await client.follow(taskId, (event) => {
      if (event.type === 'TASK_STARTED') void client.cancel(taskId);
    });
    expect(events.map(({ type }) => type)).toEqual(['TASK_STARTED', 'TASK_CANCELLED']);
  });

  it('fails after the ticks it was told', async () => {
    const events = await client.follow(await client.createTask('demo.fail', { afterTicks: 2 }));
    expect(events.map(({ type }) => type)).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_FAILED']);
    expect(events.at(-1)?.payload).toMatchObject({ message: 'Failed on purpose after 2 ticks', retryable: false });
  });

  it.each(['approve', 'reject'])('completes an approval with the decision to %s', async (decision) => {
    const taskId = await client.createTask('demo.approval', {});
    const events = await client.follow(taskId, (event) => {
      if (event.type === 'TASK_SUSPENDED') void client.answer(taskId, event.payload.suspendId, decision);
    });
    expect(events.at(-1)?.payload).toEqual({ result: { decision, decidedBy: 'ada' } });
  });

  it.each([
    ['demo.ticks', { ticks: 0 }, 'input.ticks has to be a whole number from 1 to 100000'],
    ['demo.ticks', { delayMs: '5' }, 'input.delayMs has to be a whole number from 0 to 60000'],
    ['demo.fail', { after: 1 }, 'demo.fail does not know input.after; it takes afterTicks'],
    ['demo.approval', { who: 'me' }, 'demo.approval does not know input.who; it takes nothing'],
  ])('fails %s with the input %j by a message that names the member', async (taskType, input, message) => {
    const [end] = (await client.follow(await client.createTask(taskType, input))).slice(-1);
    expect(end?.type).toBe('TASK_FAILED');
    expect(end?.payload).toMatchObject({ message });
  });
});
