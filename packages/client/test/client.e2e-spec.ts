import { isTerminalEvent, TaskBridgeClient, type TaskBridgeClientOptions, type TaskEvent } from '@taskbridge/client';
import { from, lastValueFrom, toArray } from 'rxjs';
import { WebSocket } from 'ws';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';

const TYPES = ['TASK_STARTED', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_COMPLETED'];

async function all(events: AsyncIterable<TaskEvent>): Promise<TaskEvent[]> {
  const list: TaskEvent[] = [];
  for await (const event of events) list.push(event);
  return list;
}

const typesOf = (events: readonly TaskEvent[]): string[] => events.map(({ type }) => type);

describe('TaskBridgeClient', () => {
  let host: TestApp;

  beforeAll(async () => {
    host = await startTestApp({ providers: SCRIPTED_HANDLERS });
  });

  afterAll(() => host.close());

  const clientOf = (options: Partial<TaskBridgeClientOptions> = {}): TaskBridgeClient =>
    new TaskBridgeClient({
      baseUrl: host.url,
      authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
      webSocket: WebSocket,
      webSocketAuth: 'header',
      ...options,
    });

  it.each(['websocket', 'sse', 'poll'] as const)('follows a task to its end by %s', async (transport) => {
    const client = clientOf({ transports: [transport] });
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 3, delayMs: 20 } });
    const events = await all(client.observeTaskEvents(taskId));
    expect(typesOf(events)).toEqual(TYPES);
    expect(events.every(isTerminalEvent)).toBe(false);
    expect(await client.waitForResult(taskId)).toEqual({ ticks: 3 });
  });

  it('is an observable for RxJS', async () => {
    const client = clientOf();
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 3 } });
    const events = await lastValueFrom(from(client.observeTaskEvents(taskId)).pipe(toArray()));
    expect(typesOf(events)).toEqual(TYPES);
  });

  it('answers a question and goes on', async () => {
    const client = clientOf();
    const { taskId } = await client.startTask({ taskType: 'approval' });
    const seen: string[] = [];
    for await (const event of client.observeTaskEvents(taskId)) {
      seen.push(event.type);
      if (event.type === 'TASK_SUSPENDED') {
        const { suspendId } = event.suspension;
        const { status } = await client.submitAction(taskId, {
          suspendId,
          actionType: 'approve',
          payload: { note: 'fine' },
        });
        expect(status).toBe('ACCEPTED');
      }
    }
    expect(seen).toEqual(['TASK_STARTED', 'TASK_MESSAGE', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED', 'TASK_COMPLETED']);
  });

  it('rejects the wait for a task that fails with what failed', async () => {
    const client = clientOf();
    const { taskId } = await client.startTask({ taskType: 'fail' });
    await expect(client.waitForResult(taskId)).rejects.toMatchObject({
      code: 'TASK_FAILED',
      failure: { code: 'TASK_EXECUTION_FAILED' },
    });
  });

  it('cancels, and rejects the wait with the reason', async () => {
    const client = clientOf();
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 1000, delayMs: 50 } });
    const wait = client.waitForResult(taskId);
    await client.cancelTask(taskId, 'enough');
    await expect(wait).rejects.toMatchObject({ code: 'TASK_CANCELLED', reason: 'enough' });
  });
});
