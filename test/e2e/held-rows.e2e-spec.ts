import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { TaskCreationService } from '../../lib/services/task-creation.service.js';
import { TaskRegistry } from '../../lib/stores/task-registry.js';
import type { HttpAnswer, HttpClient } from '../support/http-client.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import { type HeldRow, holdRow } from '../support/held-row.js';
import { eventually } from '../support/eventually.js';

const EACH = 6;
const TASKS = '/api/v1/tasks';

describe('a task whose row somebody holds', () => {
  let app: TestApp;
  let ada: HttpClient;
  let taskId: string;
  let held: HeldRow;

  beforeAll(async () => {
    app = await startTestApp({ providers: TEST_HANDLERS });
    ada = app.as('ada');
  }, 60_000);

  beforeEach(async () => {
    taskId = await ada.create('ask');
    await ada.until(taskId, ({ openSuspensions }) => openSuspensions.length === 1);
    // The run that asked has let go of its lease by then.
    await eventually(async () => (await tasks('lease_owner is null and suspended_at is not null')) === 1);
    held = await holdRow(app.database.url, taskId);
  });

  afterEach(() => held.release());
  afterAll(() => app.close());

  const tasks = async (condition: string): Promise<number> =>
    (await app.query(`select 1 from taskbridge_tasks where task_id = $1 and ${condition}`, [taskId])).length;

  const act = (): Promise<HttpAnswer> => {
    const action = { clientActionId: uuidv7(), suspendId: 'question', actionType: 'approve' };
    return ada.post(`${TASKS}/${taskId}/actions`, action);
  };
  const crowd = (): Promise<HttpAnswer[]> =>
    Promise.all(Array.from({ length: EACH }, () => [act(), ada.post(`${TASKS}/${taskId}/cancel`)]).flat());

  /** The slowest of the requests of others, in ms. */
  const othersTake = async (): Promise<number> => {
    let slowest = 0;
    const timed = async (status: number, request: Promise<HttpAnswer>): Promise<HttpAnswer> => {
      const startedAt = performance.now();
      const answer = await request;
      slowest = Math.max(slowest, performance.now() - startedAt);
      expect(answer.status).toBe(status);
      return answer;
    };
    const grace = app.as('grace');
    const create = { clientRequestId: uuidv7(), taskType: 'echo', input: {} };
    const { body } = await timed(201, grace.post(TASKS, create));
    await Promise.all([
      timed(200, grace.get(`${TASKS}/${String(body['taskId'])}`)),
      timed(200, grace.get(`${TASKS}/${String(body['taskId'])}/events?waitTimeoutMs=0`)),
      timed(200, grace.get(TASKS)),
      timed(
        200,
        grace.get(`${TASKS}/${taskId}`).then(() => grace.get('/ready')),
      ),
    ]);
    return slowest;
  };

  it('keeps only those waiting who want it, and answers them once it is free', async () => {
    const answers = crowd();
    const releaseAt = performance.now() + 3_000;
    let slowest = 0;
    while (performance.now() < releaseAt) slowest = Math.max(slowest, await othersTake());
    expect(slowest).toBeLessThan(1_000);
    await held.release();

    const done = await answers;
    expect(new Set(done.map(({ status }) => status))).toEqual(new Set([202]));
    const { status } = await ada.until(taskId, (task) => task.status !== 'RUNNING' && task.status !== 'ACCEPTED');
    expect(['COMPLETED', 'CANCELLED']).toContain(status);
  }, 60_000);

  it('is reported as busy when it stays held, and nothing is half done', async () => {
    const before = (await ada.snapshot(taskId)).lastEventId;
    const startedAt = performance.now();
    const answers = await crowd();
    const tookMs = performance.now() - startedAt;
    expect(tookMs).toBeGreaterThan(4_000);
    expect(tookMs).toBeLessThan(8_000);
    for (const { status, headers, body } of answers) {
      expect(status).toBe(503);
      expect(headers.get('retry-after')).toBe('1');
      expect(body['code']).toBe('SERVICE_UNAVAILABLE');
    }
    await held.release();
    expect(await tasks('cancel_requested_at is not null')).toBe(0);
    expect(await app.query('select 1 from taskbridge_receipts where task_id = $1', [taskId])).toEqual([]);
    expect((await ada.snapshot(taskId)).lastEventId).toBe(before);

    expect((await act()).status).toBe(202);
    expect((await ada.until(taskId, ({ status }) => status === 'COMPLETED')).status).toBe('COMPLETED');
  }, 60_000);

  it("is waited for in a host's own transaction with the host's own time-outs", async () => {
    const registry = app.get(TaskRegistry);
    const inside = await app.get(DataSource).transaction(async (manager) => {
      const locked = registry.getTask(taskId, { manager, lock: true });
      const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
      await eventually(async () => (await app.query(waits)).length === 1);
      // Longer than any wait of the library's own for one try.
      await sleep(600);
      await held.release();
      expect((await locked)?.taskId).toBe(taskId);
      return manager.query<{ lock_timeout: string }[]>('show lock_timeout');
    });
    expect(inside).toEqual([{ lock_timeout: '0' }]);
  }, 60_000);
});

describe('a clientRequestId whose first create somebody has not committed yet', () => {
  let app: TestApp;
  let ada: HttpClient;

  beforeAll(async () => {
    app = await startTestApp({ providers: TEST_HANDLERS });
    ada = app.as('ada');
  }, 60_000);
  afterAll(() => app.close());

  it.each([
    ['without files', (id: string) => ({ clientRequestId: id, taskType: 'echo', input: {} })],
    ['with files', formOf],
  ])('costs repeats %s their patience and nobody else a connection', async (_, bodyOf) => {
    const clientRequestId = uuidv7();
    const auth = { subject: 'ada', scopes: [], appId: null, attributes: {} };
    let repeats: Promise<HttpAnswer>[] = [];
    await app.get(DataSource).transaction(async (manager) => {
      await app
        .get(TaskCreationService)
        .createTask({ auth, clientRequestId, taskType: 'echo', input: {} }, { manager });
      repeats = Array.from({ length: 2 * EACH }, () => ada.post(TASKS, bodyOf(clientRequestId)));
      for (let n = 0; n < EACH; n += 1) expect((await app.as('grace').post(TASKS, echo())).status).toBe(201);
      const [refused] = await Promise.all(repeats);
      expect([refused?.status, refused?.body['code'], refused?.headers.get('retry-after')]).toEqual([
        503,
        'SERVICE_UNAVAILABLE',
        '1',
      ]);
      expect(refused?.body['message']).toBe('The task of this clientRequestId is busy: try again');
    });
    expect((await Promise.all(repeats)).map(({ status }) => status)).toEqual(repeats.map(() => 503));
    expect((await ada.post(TASKS, { clientRequestId, taskType: 'echo', input: {} })).body).toMatchObject({
      clientRequestId,
      deduplicated: true,
    });
  });
});

const echo = () => ({ clientRequestId: uuidv7(), taskType: 'echo', input: {} });

function formOf(clientRequestId: string): FormData {
  const form = new FormData();
  form.append('clientRequestId', clientRequestId);
  form.append('taskType', 'echo');
  form.append('attachment', new Blob(['x'], { type: 'text/csv' }), 'a.csv');
  return form;
}
