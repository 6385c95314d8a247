import { v7 as uuidv7 } from 'uuid';
import { type TestApp, startTestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import type { HttpAnswer, HttpClient } from '../support/http-client.js';
import { SCRIPTED_HANDLERS } from '../support/scripted-handlers.js';
import { oneTo, readSse, readWebSocket, seqsOf, type SseFrame } from '../support/stream-clients.js';
import { wireContractDir } from '../support/wire-contract.js';
import { type WireSchema, WireValidator } from '../support/wire-validator.js';

const TASKS = '/api/v1/tasks';
const TASK = `${TASKS}/{taskId}`;

describe('every body and frame satisfies the schemas and the OpenAPI', () => {
  let host: TestApp;
  let ada: HttpClient;
  const wire = new WireValidator();

  beforeAll(async () => {
    host = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      taskBridge: {
        streams: { sse: { heartbeatIntervalMs: 60 }, webSocket: { heartbeatIntervalMs: 60 } },
      },
    });
    ada = host.as('ada');
  });

  afterAll(() => host.close());

  const check = (schema: WireSchema, method: string, route: string, status: number, answer: HttpAnswer): HttpAnswer => {
    expect([method, route, answer.status]).toEqual([method, route, status]);
    wire.body(schema, method, route, status, answer.body);
    return answer;
  };

  const sseFrames = (frames: readonly SseFrame[]): void => {
    for (const frame of frames) {
      const isHeartbeat = frame.data['type'] === 'HEARTBEAT';
      expect(frame.id).toBe(isHeartbeat ? undefined : frame.data['eventId']);
      wire.frame(isHeartbeat ? 'sse-heartbeat' : 'task-event', frame.data);
    }
  };

  const socketFrames = (frames: readonly Record<string, unknown>[]): void => {
    for (const frame of frames) {
      const type = String(frame['type']);
      const control = type === 'HEARTBEAT' ? 'websocket-heartbeat' : 'websocket-subscription-confirmed';
      wire.frame(type.startsWith('TASK_') ? 'task-event' : control, frame);
    }
  };

  it('for a task that runs to its end', async () => {
    const body = {
      clientRequestId: uuidv7(),
      taskType: 'ticks',
      input: { ticks: 12, delayMs: 30 },
      metadata: { app: 't' },
    };
    const created = check('task-created-response', 'POST', TASKS, 201, await ada.post(TASKS, body));
    const again = check('task-created-response', 'POST', TASKS, 200, await ada.post(TASKS, body));
    expect(again.body).toMatchObject({ taskId: created.body['taskId'], deduplicated: true });
    const taskId = String(created.body['taskId']);
    const [sse, socket] = await Promise.all([
      readSse(host.url, taskId, { subject: 'ada' }),
      readWebSocket(host.url, taskId, { subject: 'ada' }),
    ]);
    sseFrames(sse.frames);
    socketFrames(socket.frames);
    expect([seqsOf(sse.events), seqsOf(socket.events)]).toEqual([oneTo(14), oneTo(14)]);
    check('poll-events-response', 'GET', `${TASK}/events`, 200, await ada.get(`${TASKS}/${taskId}/events`));
    check('task-snapshot', 'GET', TASK, 200, await ada.get(`${TASKS}/${taskId}`));
    check('task-list', 'GET', TASKS, 200, await ada.get(`${TASKS}?limit=1`));
    check('cancel-task-response', 'POST', `${TASK}/cancel`, 202, await ada.post(`${TASKS}/${taskId}/cancel`, {}));
  });

  it('for a task that fails', async () => {
    const taskId = await ada.create('fail');
    const { frames } = await readSse(host.url, taskId, { subject: 'ada' });
    sseFrames(frames);
    const { body } = check('task-snapshot', 'GET', TASK, 200, await ada.get(`${TASKS}/${taskId}`));
    expect(body).toMatchObject({ status: 'FAILED', error: { code: 'TASK_EXECUTION_FAILED', retryable: false } });
  });

  it('for a question, its answer and what is refused', async () => {
    const taskId = await ada.create('approval');
    const { openSuspensions } = await ada.until(taskId, (task) => task.openSuspensions.length === 1);
    const suspendId = openSuspensions[0]?.suspendId;
    check('task-snapshot', 'GET', TASK, 200, await ada.get(`${TASKS}/${taskId}`));
    let heartbeats = 0;
    const request = {
      subject: 'ada',
      onFrame: ({ type }: Record<string, unknown>) => void (heartbeats += Number(type === 'HEARTBEAT')),
    };
    const followed = Promise.all([readSse(host.url, taskId, request), readWebSocket(host.url, taskId, request)]);
    await eventually(() => heartbeats >= 6);
    const actions = (body: object) =>
      ada.post(`${TASKS}/${taskId}/actions`, { clientActionId: 'a', suspendId, ...body });
    const route = `${TASK}/actions`;
    check('error-envelope', 'POST', route, 409, await actions({ actionType: 'ignore' }));
    check('error-envelope', 'POST', route, 422, await actions({ actionType: 'approve', payload: {} }));
    check('error-envelope', 'POST', route, 404, await actions({ suspendId: 'none', actionType: 'approve' }));
    const yes = { actionType: 'approve', payload: { note: 'fine' } };
    check('task-client-action-response', 'POST', route, 202, await actions(yes));
    check('task-client-action-response', 'POST', route, 200, await actions(yes));
    check('error-envelope', 'POST', route, 409, await actions({ actionType: 'reject' }));
    check('task-client-action-response', 'POST', route, 202, await actions({ ...yes, clientActionId: 'b' }));
    const [sse, socket] = await followed;
    sseFrames(sse.frames);
    socketFrames(socket.frames);
    const { body } = check('task-snapshot', 'GET', TASK, 200, await ada.get(`${TASKS}/${taskId}`));
    expect(body).toMatchObject({
      result: { action: 'approve', by: 'ada', state: { asked: true } },
      actions: [{ clientActionId: 'a', acceptedBy: 'ada', actionType: 'approve' }],
    });
  });

  it('for a task that is cancelled', async () => {
    const taskId = await ada.create('ticks', { ticks: 10_000, delayMs: 20 });
    const follow = readWebSocket(host.url, taskId, { subject: 'ada' });
    const cancelled = await ada.post(`${TASKS}/${taskId}/cancel`, { reason: 'changed my mind' });
    check('cancel-task-response', 'POST', `${TASK}/cancel`, 202, cancelled);
    const { frames, code } = await follow;
    socketFrames(frames);
    expect([code, frames.at(-1)]).toMatchObject([
      1000,
      { type: 'TASK_CANCELLED', payload: { reason: 'changed my mind' } },
    ]);
  });

  it('for refusals', async () => {
    const nobody = host.as(null);
    const eve = host.as('eve');
    const taskId = await ada.create('approval');
    check('error-envelope', 'POST', TASKS, 401, await nobody.post(TASKS, {}));
    check('error-envelope', 'POST', TASKS, 400, await ada.post(TASKS, '{'));
    check('error-envelope', 'POST', TASKS, 422, await ada.post(TASKS, {}));
    check('error-envelope', 'POST', TASKS, 415, await ada.post(TASKS, 'x', { 'content-type': 'text/plain' }));
    check('error-envelope', 'POST', TASKS, 413, await ada.post(TASKS, { input: { x: 'x'.repeat(1024 * 1024) } }));
    check('error-envelope', 'GET', TASKS, 422, await ada.get(`${TASKS}?limit=0`));
    check('error-envelope', 'GET', TASK, 404, await eve.get(`${TASKS}/${taskId}`));
    check(
      'error-envelope',
      'GET',
      `${TASK}/events`,
      400,
      await ada.get(`${TASKS}/${taskId}/events?afterEventId=99999`),
    );
    const stream = await readSse(host.url, taskId, { subject: 'eve' });
    wire.body('error-envelope', 'GET', `${TASK}/events/stream`, stream.status, stream.refusal);
    expect(stream).toMatchObject({ status: 404, refusal: { code: 'TASK_NOT_FOUND' } });
  });

  it('checked all kinds of frames and, where it is at hand, the existing clients’ contract', () => {
    expect(wire.checked.bodies).toBeGreaterThan(20);
    expect(wire.checked.frames).toBeGreaterThan(50);
    expect(wire.checked.againstClients > 0).toBe(wireContractDir() !== undefined);
  });
});
