import { request as httpRequest } from 'node:http';
import { v7 as uuidv7 } from 'uuid';
import { StreamDrain } from '../../lib/streams/stream-drain.js';
import { TaskBridgeLifecycle } from '../../lib/taskbridge.lifecycle.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import type { HttpAnswer, HttpClient } from '../support/http-client.js';

const TASKS = '/api/v1/tasks';
const UNKNOWN = '0196a000-0000-7000-8000-000000000000';

const summary = ({ status, body }: HttpAnswer): [number, unknown] => [status, body['code'] ?? body['status']];
const ended = ({ finishedAt }: { finishedAt: string | null }): boolean => finishedAt !== null;
const eventIds = ({ body }: HttpAnswer): string[] =>
  (body['events'] as { eventId: string }[]).map(({ eventId }) => eventId);

/** What a client can tell two answers apart by. */
const shape = (answer: HttpAnswer, taskId: string): object => ({
  status: answer.status,
  body: JSON.stringify({ ...answer.body, timestamp: '' }).replaceAll(taskId, '<id>'),
  headers: [...answer.headers.keys()].toSorted(),
});

const action = (fields: Record<string, unknown> = {}): object => ({
  clientActionId: uuidv7(),
  suspendId: 'question',
  actionType: 'approve',
  ...fields,
});

/** The path for answers of a task that waits for one. */
async function asked(client: HttpClient): Promise<string> {
  const taskId = await client.create('ask');
  await client.until(taskId, ({ openSuspensions }) => openSuspensions.length === 1);
  return `${TASKS}/${taskId}/actions`;
}

const idsOf = ({ body }: HttpAnswer): string[] => (body['items'] as { taskId: string }[]).map(({ taskId }) => taskId);

describe('task routes', () => {
  let app: TestApp;
  let ada: HttpClient;

  beforeAll(async () => {
    app = await startTestApp({ providers: TEST_HANDLERS });
    ada = app.as('ada');
  });

  afterAll(() => app.close());

  const routes: [string, (client: HttpClient, taskId: string) => Promise<HttpAnswer>][] = [
    ['the snapshot', (client, taskId) => client.get(`${TASKS}/${taskId}`)],
    ['a poll', (client, taskId) => client.get(`${TASKS}/${taskId}/events?waitTimeoutMs=0`)],
    ['the stream', (client, taskId) => client.get(`${TASKS}/${taskId}/events/stream`)],
    ['a cancel', (client, taskId) => client.post(`${TASKS}/${taskId}/cancel`)],
    [
      'an action',
      (client, taskId) =>
        client.post(`${TASKS}/${taskId}/actions`, { clientActionId: 'a', suspendId: 's', actionType: 'x' }),
    ],
  ];

  it.each(routes)('answer 401 to %s without credentials', async (_what, call) => {
    expect(summary(await call(app.as(null), UNKNOWN))).toEqual([401, 'AUTHENTICATION_ERROR']);
  });

  it('answer 401 to a create and a list without credentials', async () => {
    expect(summary(await app.as(null).post(TASKS, {}))).toEqual([401, 'AUTHENTICATION_ERROR']);
    expect(summary(await app.as(null).get(TASKS))).toEqual([401, 'AUTHENTICATION_ERROR']);
  });

  it.each(routes)('cannot tell a foreign task from an unknown one by %s', async (_what, call) => {
    const foreign = await ada.create('echo');
    const bob = app.as('bob');
    const unknown = shape(await call(bob, UNKNOWN), UNKNOWN);
    expect(shape(await call(bob, foreign), foreign)).toEqual(unknown);
    expect(shape(await call(bob, 'garbage'), 'garbage')).toEqual(unknown);
    expect(unknown).toMatchObject({ status: 404, body: expect.stringContaining('TASK_NOT_FOUND') });
  });

  it.each(['%00', 'a%00b', '..%2f..', "'or'1'='1", '%F0%9F%98%80', '%20'])('answer 404 to the id %p', async (id) => {
    expect(summary(await ada.get(`${TASKS}/${id}`))).toEqual([404, 'TASK_NOT_FOUND']);
  });

  describe('the snapshot', () => {
    it('shows a finished task with its result and the cursor to follow on from', async () => {
      const taskId = await ada.create('echo', { a: 1 });
      const task = await ada.until(taskId, ended);
      expect(task).toMatchObject({
        taskId,
        taskType: 'echo',
        status: 'COMPLETED',
        result: { input: { a: 1 }, files: [] },
        lastEventId: '2-0',
        input: { a: 1 },
        openSuspensions: [],
        actions: [],
        attachments: [],
      });
    });

    it('is not to be cached', async () => {
      const { headers } = await ada.get(`${TASKS}/${await ada.create('echo')}`);
      expect(headers.get('cache-control')).toBe('no-store');
    });
  });

  describe('a poll', () => {
    it('reads the log in pages and says whether more exists', async () => {
      const taskId = await ada.create('echo');
      await ada.until(taskId, ended);
      const path = `${TASKS}/${taskId}/events`;
      const first = await ada.get(`${path}?maxEvents=1`);
      expect(first.body).toMatchObject({ taskId, nextAfterEventId: '1-0', hasMore: true });
      const second = await ada.get(`${path}?maxEvents=1&afterEventId=1-0`);
      expect(eventIds(second)).toEqual(['2-0']);
      expect(second.body).toMatchObject({ nextAfterEventId: '2-0', hasMore: false });
      expect(eventIds(await ada.get(`${path}?maxEvents=2`))).toEqual(['1-0', '2-0']);
    });

    it.each(['', '0', '0-0', '00'])('starts at the beginning with the cursor %p', async (cursor) => {
      const taskId = await ada.create('echo');
      await ada.until(taskId, ended);
      expect(eventIds(await ada.get(`${TASKS}/${taskId}/events?afterEventId=${cursor}`))).toEqual(['1-0', '2-0']);
    });

    it.each(['garbage', '-1', '1-1', '1.0', '9999999999999999', '99-0', '1-0&afterEventId=2-0', '%00'])(
      'answers 400 to the cursor %p',
      async (cursor) => {
        const taskId = await ada.create('echo');
        await ada.until(taskId, ended);
        const answer = await ada.get(`${TASKS}/${taskId}/events?afterEventId=${cursor}`);
        expect(summary(answer)).toEqual([400, 'INVALID_CURSOR']);
      },
    );

    it.each([
      'waitTimeoutMs=60001',
      'waitTimeoutMs=-1',
      'waitTimeoutMs=x',
      'maxEvents=0',
      'maxEvents=501',
      'maxEvents=',
    ])('answers 422 to %p', async (query) => {
      const answer = await ada.get(`${TASKS}/${await ada.create('wait')}/events?${query}`);
      expect(summary(answer)).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
      const [field] = query.split('=');
      expect(answer.body['details']).toMatchObject({ fields: [{ field }] });
    });

    it('ignores query parameters that it does not know', async () => {
      const answer = await ada.get(`${TASKS}/${await ada.create('wait')}/events?waitTimeoutMs=0&theme=dark`);
      expect(answer.status).toBe(200);
    });

    it('waits for the next event and returns at once when the task has ended', async () => {
      const taskId = await ada.create('ask');
      await ada.until(taskId, ({ openSuspensions }) => openSuspensions.length === 1);
      const waiting = ada.get(`${TASKS}/${taskId}/events?afterEventId=2-0&waitTimeoutMs=30000`);
      await ada.post(`${TASKS}/${taskId}/actions`, {
        clientActionId: 'a',
        suspendId: 'question',
        actionType: 'approve',
      });
      const answer = await waiting;
      expect(eventIds(answer)[0]).toBe('3-0');
      const { lastEventId } = await ada.until(taskId, ended);
      const atEnd = await ada.get(`${TASKS}/${taskId}/events?afterEventId=${lastEventId}&waitTimeoutMs=60000`);
      expect(atEnd.body).toMatchObject({ events: [], nextAfterEventId: lastEventId, hasMore: false });
    });

    it('stops waiting when its client leaves', async () => {
      const taskId = await ada.create('wait');
      const drain = app.get(StreamDrain);
      const open = drain.size;
      const headers = { authorization: 'Bearer ada' };
      const poll = httpRequest(`${app.url}${TASKS}/${taskId}/events?afterEventId=1-0&waitTimeoutMs=60000`, { headers });
      poll.on('error', () => undefined);
      await ada.until(taskId, ({ lastEventId }) => lastEventId === '1-0');
      poll.end();
      await eventually(() => drain.size === open + 1);
      poll.destroy();
      await eventually(() => drain.size === open);
    });
  });

  describe('a cancel', () => {
    it.each<[string, (client: HttpClient, path: string) => Promise<HttpAnswer>]>([
      ['no body', (client, path) => client.post(path)],
      [
        'no body but a JSON content type',
        (client, path) => client.send('POST', path, undefined, { 'content-type': 'application/json' }),
      ],
      [
        'an empty body and a JSON content type',
        (client, path) => client.send('POST', path, '', { 'content-type': 'application/json' }),
      ],
      ['an empty object', (client, path) => client.post(path, {})],
      ['a reason', (client, path) => client.post(path, { reason: 'changed my mind' })],
    ])('is accepted with %s', async (_what, call) => {
      const taskId = await ada.create('wait');
      const answer = await call(ada, `${TASKS}/${taskId}/cancel`);
      expect({ status: answer.status, body: answer.body }).toEqual({
        status: 202,
        body: { taskId, status: 'CANCELLATION_REQUESTED' },
      });
      const task = await ada.until(taskId, ended);
      expect(task.status).toBe('CANCELLED');
    });

    it('is accepted with an empty chunked body', async () => {
      const taskId = await ada.create('wait');
      const status = await new Promise((resolve, reject) => {
        const headers = {
          authorization: 'Bearer ada',
          'content-type': 'application/json',
          'transfer-encoding': 'chunked',
        };
        const call = httpRequest(`${app.url}${TASKS}/${taskId}/cancel`, { method: 'POST', headers }, (response) => {
          response.resume();
          resolve(response.statusCode);
        });
        call.on('error', reject);
        call.end();
      });
      expect(status).toBe(202);
    });

    it('keeps its reason in the log', async () => {
      const taskId = await ada.create('wait');
      await ada.post(`${TASKS}/${taskId}/cancel`, { reason: 'too slow' });
      await ada.until(taskId, ended);
      const { body } = await ada.get(`${TASKS}/${taskId}/events`);
      expect((body['events'] as unknown[]).at(-1)).toMatchObject({
        type: 'TASK_CANCELLED',
        payload: { reason: 'too slow' },
      });
    });

    it('of a finished task says so', async () => {
      const taskId = await ada.create('echo');
      await ada.until(taskId, ended);
      expect(summary(await ada.post(`${TASKS}/${taskId}/cancel`))).toEqual([202, 'ALREADY_TERMINAL']);
    });

    it.each<[string, string, string, number, string]>([
      ['malformed JSON', '{', 'application/json', 400, 'INVALID_REQUEST'],
      ['an unknown field', '{"why": "so"}', 'application/json', 422, 'REQUEST_VALIDATION_ERROR'],
      [
        'a long reason',
        JSON.stringify({ reason: 'x'.repeat(1001) }),
        'application/json',
        422,
        'REQUEST_VALIDATION_ERROR',
      ],
      ['plain text', 'stop', 'text/plain', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ])('refuses %s', async (_what, text, type, status, code) => {
      const path = `${TASKS}/${await ada.create('wait')}/cancel`;
      expect(summary(await ada.send('POST', path, text, { 'content-type': type }))).toEqual([status, code]);
    });
  });

  describe('an action', () => {
    it('is accepted once, recognised when it comes again, and late when another has won', async () => {
      const path = await asked(ada);
      const body = action({ payload: { note: 'fine' } });
      expect(summary(await ada.post(path, body))).toEqual([202, 'ACCEPTED']);
      expect(summary(await ada.post(path, body))).toEqual([200, 'DEDUPLICATED']);
      expect(summary(await ada.post(path, action()))).toEqual([202, 'REJECTED_ALREADY_RESOLVED']);
      const other = { ...body, payload: { note: 'changed' } };
      expect(summary(await ada.post(path, other))).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
    });

    it('continues the task, and the snapshot says who answered', async () => {
      const path = await asked(ada);
      const { body } = await ada.post(path, action({ payload: { note: 'ok' } }));
      const task = await ada.until(String(body['taskId']), ended);
      expect(task.result).toEqual({ action: 'approve', payload: { note: 'ok' }, by: 'ada' });
      expect(task.actions).toMatchObject([{ suspendId: 'question', actionType: 'approve', acceptedBy: 'ada' }]);
    });

    it.each<[string, Record<string, unknown>, number, string]>([
      ['an action that is not allowed', { actionType: 'escalate' }, 409, 'ACTION_NOT_ALLOWED'],
      ['an unknown question', { suspendId: 'another' }, 404, 'SUSPENSION_NOT_FOUND'],
      ['an answer against its schema', { payload: { note: 7 } }, 422, 'REQUEST_VALIDATION_ERROR'],
      ['an unknown field', { colour: 'red' }, 422, 'REQUEST_VALIDATION_ERROR'],
      ['a payload that is no object', { payload: 'yes' }, 422, 'REQUEST_VALIDATION_ERROR'],
      ['a missing clientActionId', { clientActionId: undefined }, 422, 'REQUEST_VALIDATION_ERROR'],
      ['NUL in the suspendId', { suspendId: 'a\0' }, 422, 'REQUEST_VALIDATION_ERROR'],
    ])('refuses %s', async (_what, fields, status, code) => {
      expect(summary(await ada.post(await asked(ada), action(fields)))).toEqual([status, code]);
    });

    it('needs a JSON body', async () => {
      const path = await asked(ada);
      expect(summary(await ada.send('POST', path, 'yes', { 'content-type': 'text/plain' }))).toEqual([
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      ]);
      expect(summary(await ada.send('POST', path, '', { 'content-type': 'application/json' }))).toEqual([
        400,
        'INVALID_REQUEST',
      ]);
      expect(summary(await ada.send('POST', path, undefined, {}))).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
    });
  });

  describe('the list', () => {
    it("pages through the caller's own tasks, newest first", async () => {
      const carol = app.as('carol');
      const ids: string[] = [];
      for (let n = 0; n < 5; n += 1) ids.unshift(await carol.create('echo'));
      const first = await carol.get(`${TASKS}?limit=2`);
      const second = await carol.get(`${TASKS}?limit=2&cursor=${String(first.body['nextCursor'])}`);
      const third = await carol.get(`${TASKS}?limit=2&cursor=${String(second.body['nextCursor'])}`);
      expect([...idsOf(first), ...idsOf(second), ...idsOf(third)]).toEqual(ids);
      expect(third.body['nextCursor']).toBeNull();
      expect(idsOf(await app.as('dave').get(TASKS))).toEqual([]);
    });

    it('filters by status, type and open questions', async () => {
      const erin = app.as('erin');
      const done = await erin.create('echo');
      const asking = await erin.create('ask');
      await erin.until(done, ended);
      await erin.until(asking, ({ openSuspensions }) => openSuspensions.length === 1);
      expect(idsOf(await erin.get(`${TASKS}?status=COMPLETED`))).toEqual([done]);
      expect(idsOf(await erin.get(`${TASKS}?taskType=ask`))).toEqual([asking]);
      expect(idsOf(await erin.get(`${TASKS}?waiting=true`))).toEqual([asking]);
      expect(idsOf(await erin.get(`${TASKS}?waiting=false`))).toEqual([done]);
    });

    it.each<[string, number, string]>([
      ['limit=0', 422, 'REQUEST_VALIDATION_ERROR'],
      ['limit=201', 422, 'REQUEST_VALIDATION_ERROR'],
      ['status=DONE', 422, 'REQUEST_VALIDATION_ERROR'],
      ['waiting=perhaps', 422, 'REQUEST_VALIDATION_ERROR'],
      ['taskType=%00', 422, 'REQUEST_VALIDATION_ERROR'],
      ['cursor=garbage', 400, 'INVALID_CURSOR'],
      [`cursor=${UNKNOWN}&cursor=${UNKNOWN}`, 400, 'INVALID_CURSOR'],
    ])('refuses %p', async (query, status, code) => {
      expect(summary(await ada.get(`${TASKS}?${query}`))).toEqual([status, code]);
    });
  });
});

describe('an instance that drains', () => {
  it('refuses new streams and waiting polls with Retry-After and is not ready', async () => {
    const app = await startTestApp({ providers: TEST_HANDLERS, taskBridge: { shutdown: { drainWindowMs: 1 } } });
    try {
      const ada = app.as('ada');
      const taskId = await ada.create('ask');
      const { lastEventId } = await ada.until(taskId, ({ openSuspensions }) => openSuspensions.length === 1);
      await app.get(TaskBridgeLifecycle).drain();
      const poll = await ada.get(`${TASKS}/${taskId}/events?afterEventId=${lastEventId}&waitTimeoutMs=1000`);
      const stream = await ada.get(`${TASKS}/${taskId}/events/stream`);
      for (const answer of [poll, stream]) {
        expect(summary(answer)).toEqual([503, 'SERVICE_UNAVAILABLE']);
        expect(answer.headers.get('retry-after')).toBe('1');
      }
      expect((await ada.get(`${TASKS}/${taskId}/events`)).status).toBe(200);
      expect(await ada.get('/ready')).toMatchObject({
        status: 503,
        body: {
          status: 'unavailable',
          checks: expect.arrayContaining([{ name: 'drain', ok: false, detail: 'shutting down' }]),
        },
      });
      expect((await ada.get('/health')).status).toBe(200);
    } finally {
      await app.close();
    }
  });
});
