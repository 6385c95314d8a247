import { v7 as uuidv7 } from 'uuid';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskContext, TaskRunner } from '../../lib/executors/task-handler.js';
import type { JsonObject } from '../../lib/stores/records.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import type { HttpAnswer, HttpClient } from '../support/http-client.js';

const TASKS = '/api/v1/tasks';
/** What every object has without anybody giving it. */
const INHERITED = ['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'];
const VALUES = [null, 'z', {}, { name: 'z' }, []];

/** Asks for actions that are called like inherited members; `toString` and `__proto__` want a `note`. */
@TaskHandler('ask-oddly')
class OddlyNamedHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    const schema: JsonObject = { type: 'object', required: ['note'] };
    const actionSchemas = JSON.parse(
      JSON.stringify({ toString: schema, proto: schema }).replace('proto', '__proto__'),
    ) as Record<string, JsonObject>;
    return task.suspend({
      suspendId: 'question',
      reasonCode: 'ODD',
      allowedActions: ['toString', 'valueOf', '__proto__'],
      actionSchemas,
    });
  }

  async resume(_task: TaskContext, answer: { payload: unknown }): Promise<unknown> {
    return answer.payload;
  }
}

const fieldsOf = ({ body }: HttpAnswer): string[] =>
  ((body['details'] ?? {}) as { fields?: { field: string }[] }).fields?.map(({ field }) => field) ?? [];
const summary = ({ status, body }: HttpAnswer): [number, unknown] => [status, body['code']];

describe('requests with mistakes', () => {
  let app: TestApp;
  let ada: HttpClient;

  beforeAll(async () => {
    app = await startTestApp({
      providers: [...TEST_HANDLERS, OddlyNamedHandler],
      taskBridge: { http: { maxUploadFiles: 2 } },
    });
    ada = app.as('ada');
  });

  afterAll(() => app.close());

  const waiting = async (taskType: string): Promise<string> => {
    const taskId = await ada.create(taskType);
    await ada.until(taskId, ({ openSuspensions }) => openSuspensions.length > 0);
    return taskId;
  };

  it.each(INHERITED)('are refused with 422 that names the unknown field %s, whatever its value', async (key) => {
    const taskId = await ada.create('wait');
    for (const value of VALUES) {
      const extra = { [key]: value };
      const answers = [
        await ada.post(TASKS, { clientRequestId: uuidv7(), taskType: 'echo', ...extra }),
        await ada.post(`${TASKS}/${taskId}/cancel`, extra),
        await ada.post(`${TASKS}/${taskId}/actions`, {
          clientActionId: 'a',
          suspendId: 'q',
          actionType: 'go',
          ...extra,
        }),
      ];
      expect(answers.map((answer) => [...summary(answer), fieldsOf(answer)])).toEqual(
        answers.map(() => [422, 'REQUEST_VALIDATION_ERROR', [key]]),
      );
    }
  });

  it('are refused with 400 where a body has the key __proto__', async () => {
    const text = `{"clientRequestId":"p","taskType":"echo","__proto__":null}`;
    expect(summary(await ada.post(TASKS, text))).toEqual([400, 'INVALID_REQUEST']);
  });

  it('do not include inherited names within the input, which reaches its handler as it was sent', async () => {
    const input = Object.fromEntries([...INHERITED, 'toJSON', 'then', 'length'].map((key, index) => [key, index]));
    const taskId = await ada.create('echo', input);
    const { result } = await ada.until(taskId, ({ finishedAt }) => finishedAt !== null);
    expect(result).toEqual({ input, files: [] });
  });

  describe('in answers to actions with inherited names', () => {
    const answer = (taskId: string, actionType: string, payload?: JsonObject): Promise<HttpAnswer> =>
      ada.post(`${TASKS}/${taskId}/actions`, { clientActionId: uuidv7(), suspendId: 'question', actionType, payload });

    it('are judged by the schema of that very action', async () => {
      const taskId = await waiting('ask-oddly');
      for (const actionType of ['toString', '__proto__']) {
        const refused = await answer(taskId, actionType, { other: 1 });
        expect([...summary(refused), fieldsOf(refused)]).toEqual([422, 'REQUEST_VALIDATION_ERROR', ['payload.note']]);
      }
      expect(await answer(taskId, 'toString', { note: 'yes' })).toMatchObject({
        status: 202,
        body: { status: 'ACCEPTED' },
      });
      const { result } = await ada.until(taskId, ({ finishedAt }) => finishedAt !== null);
      expect(result).toEqual({ note: 'yes' });
    });

    it('are none where that action has no schema', async () => {
      const taskId = await waiting('ask-oddly');
      expect((await answer(taskId, 'valueOf', { any: 'thing' })).status).toBe(202);
    });

    it('are refused where no question allows that action', async () => {
      const taskId = await waiting('ask');
      for (const actionType of ['toString', '__proto__', 'constructor']) {
        expect(summary(await answer(taskId, actionType))).toEqual([409, 'ACTION_NOT_ALLOWED']);
      }
    });
  });

  describe('in forms', () => {
    const send = (...parts: string[]): Promise<HttpAnswer> => {
      const texts = [`name="clientRequestId"\r\n\r\n${uuidv7()}`, 'name="taskType"\r\n\r\necho', ...parts];
      const body = texts.map((part) => `--x\r\ncontent-disposition: form-data; ${part}\r\n`).join('');
      return ada.send('POST', TASKS, `${body}--x--\r\n`, { 'content-type': 'multipart/form-data; boundary=x' });
    };
    const empty = 'name="attachment"; filename=""\r\n\r\n';
    const file = (name: string): string => `name="attachment"; filename="${name}"\r\ncontent-type: text/csv\r\n\r\nx`;

    it.each([
      ['no name', 'x="y"\r\n\r\nvalue'],
      ['an empty name', 'name=""\r\n\r\nvalue'],
      ['a file name only', 'filename="a.csv"\r\ncontent-type: text/csv\r\n\r\nvalue'],
    ])('are refused with 400 where a part has %s', async (_what, part) => {
      const answer = await send(part);
      expect(summary(answer)).toEqual([400, 'INVALID_REQUEST']);
      expect(answer.body['message']).toBe('A part of the form has no name');
    });

    it.each(INHERITED)('are refused with 422 that names the unknown text field %s', async (key) => {
      const answer = await send(`name="${key}"\r\n\r\nvalue`);
      expect([...summary(answer), fieldsOf(answer)]).toEqual([422, 'REQUEST_VALIDATION_ERROR', [key]]);
    });

    it('are refused where there are more empty file parts than there may be files', async () => {
      expect(summary(await send(empty, empty, empty))).toEqual([400, 'UPLOAD_VALIDATION_ERROR']);
      const answer = await send(empty, file('a.csv'), empty, file('b.csv'));
      expect(answer.status).toBe(201);
      const { attachments } = await ada.snapshot(String(answer.body['taskId']));
      expect(attachments.map(({ name }) => name)).toEqual(['a.csv', 'b.csv']);
    });
  });
});
