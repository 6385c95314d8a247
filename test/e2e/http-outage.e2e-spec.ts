import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { TaskBridgeExceptionFilter } from '../../lib/controllers/taskbridge-exception.filter.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { startCuttingProxy, type CuttingProxy } from '../support/cutting-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import type { HttpAnswer, HttpClient } from '../support/http-client.js';

const TASKS = '/api/v1/tasks';
const NEUTRAL = 'The service is out of order for a moment; try again';

const create = () => ({ clientRequestId: uuidv7(), taskType: 'wait' });
const summary = ({ status, body, headers }: HttpAnswer) => [
  status,
  body['code'],
  body['message'],
  headers.get('retry-after'),
];
const REFUSED = [503, 'SERVICE_UNAVAILABLE', NEUTRAL, '2'];

describe('while the database is out of reach', () => {
  let database: TestDatabase;
  let proxy: CuttingProxy;
  let app: TestApp;
  let ada: HttpClient;
  let warnings: unknown[];

  beforeAll(async () => {
    database = await createTestDatabase();
    proxy = await startCuttingProxy(database.url);
    const url = new URL(database.url);
    url.host = new URL(proxy.url).host;
    app = await startTestApp({ database: { ...database, url: url.href }, providers: TEST_HANDLERS });
    ada = app.as('ada');
  });

  afterAll(async () => {
    await app.close();
    await proxy.close();
    await database.drop();
  });

  beforeEach(() => {
    warnings = [];
    const record = (level: string) =>
      function recorded(this: unknown, entry: unknown): void {
        const { context } = this as { context?: string };
        if (context === TaskBridgeExceptionFilter.name) warnings.push([level, entry]);
      };
    jest.spyOn(Logger.prototype, 'warn').mockImplementation(record('warn'));
    jest.spyOn(Logger.prototype, 'error').mockImplementation(record('error'));
  });

  afterEach(() => jest.restoreAllMocks());

  it('answers every request with 503 and Retry-After, names no server to the client, and logs each once', async () => {
    const taskId = await ada.create('wait');
    const form = new FormData();
    form.append('clientRequestId', uuidv7());
    form.append('taskType', 'echo');
    form.append('attachment', new Blob(['x'], { type: 'text/csv' }), 'a.csv');
    const action = { clientActionId: 'a', suspendId: 'q', actionType: 'go' };
    await proxy.refuse();
    try {
      const answers = [
        await ada.post(TASKS, create()),
        await ada.post(TASKS, form),
        await ada.get(TASKS),
        await ada.get(`${TASKS}/${taskId}`),
        await ada.get(`${TASKS}/${taskId}/events`),
        await ada.get(`${TASKS}/${taskId}/events/stream`),
        await ada.post(`${TASKS}/${taskId}/cancel`),
        await ada.post(`${TASKS}/${taskId}/actions`, action),
      ];
      expect(answers.map(summary)).toEqual(answers.map(() => REFUSED));
      expect(warnings.length).toBe(answers.length);
      expect(warnings[0]).toEqual([
        'warn',
        {
          message: 'Request refused: the database is out of reach',
          reason: expect.stringMatching(/ECONNREFUSED|^Connection terminated/),
          method: 'POST',
          route: TASKS,
        },
      ]);
    } finally {
      await proxy.accept();
    }
    await eventually(async () => (await ada.post(TASKS, create())).status === 201);
  });

  it('answers 503 to a request whose connection is lost in the middle of its transaction', async () => {
    const taskId = await ada.create('wait');
    await ada.until(taskId, ({ status }) => status === 'RUNNING');
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    try {
      await holder.query('begin');
      await holder.query('select 1 from taskbridge_tasks where task_id = $1 for update', [taskId]);
      const cancelled = ada.post(`${TASKS}/${taskId}/cancel`);
      await eventually(async () => {
        const waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
        return (await holder.query(waiting)).rowCount !== 0;
      });
      proxy.cut();
      expect(summary(await cancelled)).toEqual(REFUSED);
    } finally {
      await holder.end();
    }
    await eventually(async () => (await ada.post(`${TASKS}/${taskId}/cancel`)).status === 202);
  });

  it('answers 503 when the server ends the connections', async () => {
    const taskId = await ada.create('wait');
    await ada.until(taskId, ({ status }) => status === 'RUNNING');
    const admin = new Client({ connectionString: database.url });
    await admin.connect();
    try {
      await admin.query('begin');
      await admin.query('select 1 from taskbridge_tasks where task_id = $1 for update', [taskId]);
      const cancelled = ada.post(`${TASKS}/${taskId}/cancel`);
      await eventually(async () => {
        const ended = await admin.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where wait_event_type = 'Lock' and datname = current_database()`,
        );
        return ended.rowCount !== 0;
      });
      expect(summary(await cancelled)).toEqual(REFUSED);
    } finally {
      await admin.end();
    }
    await eventually(async () => (await ada.post(`${TASKS}/${taskId}/cancel`)).status === 202);
  });
});
