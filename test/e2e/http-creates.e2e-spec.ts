import { once } from 'node:events';
import { connect } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import { TaskExecutor } from '../../lib/executors/task-executor.js';
import { OwnershipPolicy } from '../../lib/security/ownership-policy.js';
import { TaskRegistry } from '../../lib/stores/task-registry.js';
import { TaskBridgeError, TaskRejectedError } from '../../lib/taskbridge.errors.js';
import type { AuthContext } from '../../lib/security/auth-context.js';
import type { TaskCreateCommand } from '../../lib/services/commands.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import type { Headings, HttpAnswer, HttpClient } from '../support/http-client.js';

const TASKS = '/api/v1/tasks';
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

const create = (fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  clientRequestId: uuidv7(),
  taskType: 'echo',
  ...fields,
});
const summary = ({ status, body }: HttpAnswer): [number, unknown] => [status, body['code'] ?? body['deduplicated']];

const form = (fields: Record<string, string>, files: [string, string][]): FormData => {
  const data = new FormData();
  for (const [name, content] of files) data.append('attachment', new Blob([content], { type: 'text/csv' }), name);
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
};
const formFields = (extra: Record<string, string> = {}): Record<string, string> => ({
  clientRequestId: uuidv7(),
  taskType: 'echo',
  ...extra,
});

class PickyPolicy extends OwnershipPolicy {
  assertTaskAccess(): void {}
  assertTaskCreate(_auth: AuthContext, command: TaskCreateCommand): void {
    if (command.metadata?.['forbidden'] === true) throw new TaskBridgeError('TASK_OWNERSHIP_ERROR', 'Not for you');
  }
}

describe('creating tasks over HTTP', () => {
  let app: TestApp;
  let ada: HttpClient;

  beforeAll(async () => {
    const http = { maxJsonBytes: 16 * 1024, maxUploadBytes: 64 * 1024, maxUploadFiles: 2, maxPayloadDepth: 4 };
    app = await startTestApp({ providers: TEST_HANDLERS, taskBridge: { http, ownershipPolicy: PickyPolicy } });
    ada = app.as('ada');
  });

  afterAll(() => app.close());

  it('answers 201 with the new task and 200 with the same one to a repeat', async () => {
    const body = create({ input: { a: 1, b: [2] }, metadata: { try: 1 } });
    const first = await ada.post(TASKS, body);
    expect(first).toMatchObject({
      status: 201,
      body: { status: 'ACCEPTED', clientRequestId: body['clientRequestId'], deduplicated: false },
    });
    const repeat = await ada.post(TASKS, { ...body, input: { b: [2], a: 1 }, metadata: { try: 2 } });
    expect(repeat).toMatchObject({ status: 200, body: { taskId: first.body['taskId'], deduplicated: true } });
  });

  it.each<[string, Record<string, unknown>]>([
    ['input', { input: { a: 2 } }],
    ['type', { taskType: 'wait' }],
  ])('answers 409 to a key that comes again with another %s', async (_what, other) => {
    const body = create({ input: { a: 1 } });
    await ada.post(TASKS, body);
    expect(summary(await ada.post(TASKS, { ...body, ...other }))).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
  });

  it('gives each owner a task of its own for one key', async () => {
    const body = create();
    const [hers, his] = [await ada.post(TASKS, body), await app.as('bob').post(TASKS, body)];
    expect([hers.status, his.status]).toEqual([201, 201]);
    expect(hers.body['taskId']).not.toBe(his.body['taskId']);
  });

  it('takes the key from the Idempotency-Key header', async () => {
    const key = uuidv7();
    const headers = { 'idempotency-key': key };
    const first = await ada.post(TASKS, { taskType: 'echo' }, headers);
    expect(first).toMatchObject({ status: 201, body: { clientRequestId: key } });
    expect(summary(await ada.post(TASKS, create({ clientRequestId: key }), headers))).toEqual([200, true]);
    expect(summary(await ada.post(TASKS, create(), headers))).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
  });

  it('stores a well-formed trace context with the task', async () => {
    const { body } = await ada.post(TASKS, create(), { traceparent: TRACEPARENT });
    const task = await app.get(TaskRegistry).getTask(String(body['taskId']));
    expect(task?.traceparent).toBe(TRACEPARENT);
  });

  const json = { 'content-type': 'application/json' };
  it.each<[string, string, Headings, number, string]>([
    ['malformed JSON', '{"taskType":', json, 400, 'INVALID_REQUEST'],
    ['no JSON at all', '', json, 400, 'INVALID_REQUEST'],
    [
      'a __proto__ key',
      '{"taskType":"echo","clientRequestId":"k","input":{"__proto__":{}}}',
      json,
      400,
      'INVALID_REQUEST',
    ],
    ['plain text', 'hello', { 'content-type': 'text/plain' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['XML', '<task/>', { 'content-type': 'application/xml' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [
      'a URL-encoded form',
      'taskType=echo',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
    ],
    ['a nonsense content type', '{}', { 'content-type': ';;' }, 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['an array', '[]', json, 422, 'REQUEST_VALIDATION_ERROR'],
    ['too much JSON', JSON.stringify(create({ input: { a: 'x'.repeat(16 * 1024) } })), json, 413, 'PAYLOAD_TOO_LARGE'],
  ])('refuses %s with an envelope', async (_what, text, headers, status, code) => {
    const answer = await ada.send('POST', TASKS, text, headers);
    expect(summary(answer)).toEqual([status, code]);
    expect(Object.keys(answer.body).toSorted()).toEqual(
      status === 422 ? ['code', 'details', 'message', 'timestamp'] : ['code', 'message', 'timestamp'],
    );
    expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('lists every offending field of a body', async () => {
    const answer = await ada.post(TASKS, { taskType: 5, metadata: [], surprise: 1 });
    const { fields } = answer.body['details'] as { fields: { field: string }[] };
    expect(answer.status).toBe(422);
    expect(fields.map(({ field }) => field).toSorted()).toEqual([
      'clientRequestId',
      'metadata',
      'surprise',
      'taskType',
    ]);
  });

  it.each<[string, Record<string, unknown>]>([
    ['NUL in the key', { clientRequestId: 'a\0b' }],
    ['NUL in the input', { input: { text: '\0' } }],
    ['half a surrogate pair in the metadata', { metadata: { text: '\ud800' } }],
    ['deep nesting', { input: { a: { b: { c: { d: {} } } } } }],
    ['a key that is too long', { clientRequestId: 'x'.repeat(256) }],
    ['a type that nobody handles', { taskType: 'unheard.of' }],
  ])('answers 422 to %s', async (_what, fields) => {
    expect(summary(await ada.post(TASKS, create(fields)))).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
  });

  it('answers 403 when the policy refuses the creation', async () => {
    const body = create({ metadata: { forbidden: true } });
    expect(summary(await ada.post(TASKS, body))).toEqual([403, 'TASK_OWNERSHIP_ERROR']);
  });

  describe('with files', () => {
    it('hands them to the handler as streams and shows them in the snapshot', async () => {
      const body = form(formFields({ input: '{"mode":"dry"}' }), [
        ['../a.csv', 'one,two'],
        ['b.csv', 'ü'.repeat(9_000)],
      ]);
      const { status, body: created } = await ada.post(TASKS, body);
      expect(status).toBe(201);
      const task = await ada.until(String(created['taskId']), ({ finishedAt }) => finishedAt !== null);
      const files = [
        { name: 'a.csv', text: 'one,two' },
        { name: 'b.csv', text: 'ü'.repeat(9_000) },
      ];
      expect(task.result).toEqual({ input: { mode: 'dry' }, files });
      expect(task.attachments).toMatchObject([
        { name: 'a.csv', contentType: 'text/csv', sizeBytes: 7 },
        { name: 'b.csv', contentType: 'text/csv', sizeBytes: 18_000 },
      ]);
    });

    it('recognises a repeat by the files as well', async () => {
      const same = formFields();
      expect((await ada.post(TASKS, form(same, [['a.csv', 'x']]))).status).toBe(201);
      expect((await ada.post(TASKS, form(same, [['a.csv', 'x']]))).status).toBe(200);
      expect(summary(await ada.post(TASKS, form(same, [['a.csv', 'y']])))).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
      expect(summary(await ada.post(TASKS, form(same, [])))).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
    });

    it.each<[string, FormData, number, string]>([
      ['files over the limit', form(formFields(), [['a.csv', 'x'.repeat(65 * 1024)]]), 413, 'PAYLOAD_TOO_LARGE'],
      [
        'too many files',
        form(formFields(), [
          ['a', 'x'],
          ['b', 'x'],
          ['c', 'x'],
        ]),
        400,
        'UPLOAD_VALIDATION_ERROR',
      ],
      ['broken JSON in a field', form(formFields({ input: '{' }), [['a.csv', 'x']]), 422, 'REQUEST_VALIDATION_ERROR'],
      [
        'a type nobody handles',
        form({ ...formFields(), taskType: 'unheard.of' }, [['a.csv', 'x']]),
        422,
        'REQUEST_VALIDATION_ERROR',
      ],
    ])('keeps no bytes of a form with %s', async (_what, body, status, code) => {
      expect(summary(await ada.post(TASKS, body))).toEqual([status, code]);
      const staged = await app.query('select name from taskbridge_attachments where task_id is null');
      expect(staged).toEqual([]);
    });

    it('keeps no bytes of a client that vanishes in the middle of a file', async () => {
      const chunks = () =>
        app.query(
          'select 1 from taskbridge_attachment_chunks c join taskbridge_attachments a using (attachment_id) where a.task_id is null',
        );
      const { port } = new URL(app.url);
      const socket = connect(Number(port), '127.0.0.1');
      await once(socket, 'connect');
      const head = `POST ${TASKS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ada\r\ncontent-length: 60000\r\n`;
      const part = '--x\r\ncontent-disposition: form-data; name="attachment"; filename="a.csv"\r\n\r\n';
      socket.write(
        `${head}content-type: multipart/form-data; boundary=x\r\n\r\n${part}whole\r\n${part}${'y'.repeat(40_000)}`,
      );
      await eventually(async () => (await chunks()).length > 0);
      socket.destroy();
      await eventually(async () => (await chunks()).length === 0);
      expect(await app.query('select 1 from taskbridge_attachments where task_id is null')).toEqual([]);
    });

    it('answers 401 before it reads a form', async () => {
      const answer = await app.as(null).post(TASKS, form(formFields(), [['a.csv', 'x']]));
      expect(summary(answer)).toEqual([401, 'AUTHENTICATION_ERROR']);
    });

    it('answers 400 to a form that is cut off', async () => {
      const headers = { 'content-type': 'multipart/form-data; boundary=x' };
      const text = '--x\r\ncontent-disposition: form-data; name="attachment"; filename="a.csv"\r\n\r\nabc';
      expect(summary(await ada.send('POST', TASKS, text, headers))).toEqual([400, 'INVALID_REQUEST']);
    });
  });
});

class ScriptedExecutor extends TaskExecutor {
  async submitTask({ taskType }: { taskType: string }): Promise<void> {
    if (taskType === 'rejected') throw new TaskRejectedError('no such workflow');
    throw new Error('the engine at engine.internal is down');
  }
  async requestCancellation(): Promise<void> {}
}

describe('creating tasks for an executor that fails', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startTestApp({ taskBridge: { executor: ScriptedExecutor } });
  });

  afterAll(() => app.close());

  it('answers 503 once when the executor refuses the task, and 200 with the failed task to a repeat', async () => {
    const body = create({ taskType: 'rejected' });
    expect(summary(await app.as('ada').post(TASKS, body))).toEqual([503, 'TASK_SUBMISSION_ERROR']);
    const repeat = await app.as('ada').post(TASKS, body);
    expect(repeat).toMatchObject({ status: 200, body: { status: 'FAILED', deduplicated: true } });
  });

  it('answers 201 when the executor cannot be reached, because the task is durable', async () => {
    const answer = await app.as('ada').post(TASKS, create({ taskType: 'unreachable' }));
    expect(answer).toMatchObject({ status: 201, body: { status: 'ACCEPTED' } });
  });
});
