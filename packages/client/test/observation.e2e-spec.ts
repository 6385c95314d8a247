import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type CheckpointStore,
  type Diagnostic,
  MemoryStore,
  TaskBridgeClient,
  type TaskBridgeClientOptions,
  type TaskEvent,
  type TaskGap,
} from '@taskbridge/client';
import { from, take, toArray, lastValueFrom } from 'rxjs';
import { TaskRetentionService } from '../../../lib/index.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { eventually } from '../../../test/support/eventually.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';

async function idsOf(events: AsyncIterable<TaskEvent>): Promise<string[]> {
  const ids: string[] = [];
  for await (const { eventId } of events) ids.push(eventId);
  return ids;
}

function fail(): never {
  throw new Error('the quota is exceeded');
}

function skipToSnapshot(): 'skip-to-snapshot' {
  return 'skip-to-snapshot';
}

function envelope(seq: number, type: string, payload: unknown): string {
  const event = { type, taskId: 'task-1', eventId: `${seq}-0`, createdAt: '2027-01-01T00:00:00Z', payload };
  return `id: ${event.eventId}\ndata: ${JSON.stringify(event)}\n\n`;
}

describe('An observation', () => {
  let host: TestApp;

  beforeAll(async () => {
    host = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      // Only when a test says so.
      taskBridge: { retention: { enabled: false, trim: { olderThanMs: 1, keepEvents: 2 } } },
    });
  });

  afterAll(() => host.close());

  const clientOf = (options: Partial<TaskBridgeClientOptions> = {}): TaskBridgeClient =>
    new TaskBridgeClient({
      baseUrl: host.url,
      authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
      transports: ['sse', 'poll'],
      recovery: { initialDelayMs: 5 },
      ...options,
    });

  const finished = async (ticks = 4): Promise<string> => {
    const { taskId } = await clientOf().startTask({ taskType: 'ticks', input: { ticks } });
    await clientOf().waitForResult(taskId);
    return taskId;
  };

  it('does not ask an answered question again, and forgets the answer with the task', async () => {
    const store = new MemoryStore();
    const removed: string[] = [];
    const watched: CheckpointStore = {
      getItem: (key) => store.getItem(key),
      setItem: (key, value) => store.setItem(key, value),
      removeItem: (key) => {
        removed.push(key.replaceAll(/[\da-f-]{36}/g, 'id'));
        store.removeItem(key);
      },
    };
    const { taskId } = await clientOf().startTask({ taskType: 'approval' });
    const untilAsked = async (client: TaskBridgeClient): Promise<string> => {
      for await (const event of client.observeTaskEvents(taskId)) {
        if (event.type === 'TASK_SUSPENDED') return event.suspension.suspendId;
      }
      throw new Error('It did not ask');
    };
    const suspendId = await untilAsked(clientOf({ store: watched }));
    expect(await untilAsked(clientOf({ store: watched }))).toBe(suspendId);
    await clientOf({ store: watched }).submitAction(taskId, { suspendId, actionType: 'reject' });

    const types: string[] = [];
    for await (const event of clientOf({ store: watched }).observeTaskEvents(taskId)) types.push(event.type);
    expect(types).toEqual(['TASK_ACTION_ACCEPTED', 'TASK_COMPLETED']);
    expect(removed.toSorted()).toEqual(['taskbridge:id:answer:id', 'taskbridge:id:answers', 'taskbridge:id:cursor']);
    expect(await idsOf(clientOf({ store: watched }).observeTaskEvents(taskId))).toHaveLength(5);
  });

  it('begins after the id that it is given, else after the checkpoint, else at the start', async () => {
    const taskId = await finished();
    const store = new MemoryStore();
    store.setItem(`app:${taskId}:cursor`, '4-0');
    const client = clientOf({ store, namespace: 'app' });
    expect(await idsOf(client.observeTaskEvents(taskId, { lastEventId: '5-0' }))).toEqual(['6-0']);
    store.setItem(`app:${taskId}:cursor`, '4-0');
    expect(await idsOf(client.observeTaskEvents(taskId, { checkpoint: false }))).toHaveLength(6);
    expect(await idsOf(client.observeTaskEvents(taskId))).toEqual(['5-0', '6-0']);
    expect(await idsOf(client.observeTaskEvents(taskId))).toHaveLength(6);
    expect(await idsOf(client.observeTaskEvents(taskId, { lastEventId: '6-0' }))).toEqual([]);
  });

  it('goes on when its store fails, and says so', async () => {
    const diagnostics: Diagnostic[] = [];
    const store = { getItem: fail, setItem: fail, removeItem: fail };
    const client = clientOf({ store, diagnostics: (entry) => diagnostics.push(entry) });
    expect(await idsOf(client.observeTaskEvents(await finished()))).toHaveLength(6);
    const failures = diagnostics.flatMap((entry) => (entry.kind === 'store-failure' ? [entry.operation] : []));
    expect(new Set(failures)).toEqual(new Set(['load', 'save', 'clear']));
  });

  it('tells of events that retention has removed before those that are left', async () => {
    const taskId = await finished(8);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await host.get(TaskRetentionService).run();
    for (const transports of [['sse'], ['poll']] as const) {
      const client = clientOf({ transports });
      await expect(idsOf(client.observeTaskEvents(taskId))).rejects.toMatchObject({ code: 'EVENT_GAP' });
      const gaps: TaskGap[] = [];
      const onGap = (gap: TaskGap): void => void gaps.push(gap);
      expect(await idsOf(client.observeTaskEvents(taskId, { onGap }))).toEqual(['9-0', '10-0']);
      expect(gaps).toMatchObject([
        { afterEventId: '0-0', retainedFromEventId: '9-0', snapshot: { status: 'COMPLETED' } },
      ]);
      expect(await idsOf(client.observeTaskEvents(taskId, { onGap: skipToSnapshot }))).toEqual([]);
    }
  });

  it('refuses what cannot be a task or a cursor without asking', async () => {
    const client = clientOf();
    await expect(client.getTask('../ready')).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await expect(idsOf(client.observeTaskEvents('a/b'))).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    const taskId = await finished();
    await expect(idsOf(client.observeTaskEvents(taskId, { lastEventId: 'x' }))).rejects.toMatchObject({
      code: 'INVALID_CURSOR',
    });
    await expect(idsOf(client.observeTaskEvents(taskId, { lastEventId: '99-0' }))).rejects.toMatchObject({
      code: 'INVALID_CURSOR',
    });
  });

  it('ends at once with the reason of its signal, and when an RxJS subscriber has enough', async () => {
    const client = clientOf();
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 1, delayMs: 60_000 } });
    const controller = new AbortController();
    const run = idsOf(client.observeTaskEvents(taskId, { signal: controller.signal, lastEventId: '2-0' }));
    controller.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    const events = await lastValueFrom(from(client.observeTaskEvents(taskId)).pipe(take(2), toArray()));
    expect(events).toHaveLength(2);
    await client.cancelTask(taskId);
  });
});

describe('An observation of a server from the future', () => {
  let server: Server;
  let streams: number;

  /** Its first stream has a broken frame, the next one goes on. */
  const STREAMS = [
    [envelope(1, 'TASK_TELEPORTED', { to: 'Mars' }), envelope(2, 'TASK_PROGRESS', 'half'), 'data: {"type":\n\n'],
    [
      envelope(3, 'TASK_PROGRESS', { progress: 50, eta: 'soon' }),
      envelope(4, 'TASK_COMPLETED', { result: 1, cost: 2 }),
    ],
  ];

  beforeAll(async () => {
    streams = 0;
    server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const frame of STREAMS[streams++] ?? []) response.write(frame);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  });

  afterAll(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });

  it('keeps what it does not know, reports what it cannot read, and goes on', async () => {
    const diagnostics: Diagnostic[] = [];
    const client = new TaskBridgeClient({
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      transports: ['sse'],
      recovery: { initialDelayMs: 5 },
      diagnostics: (entry) => {
        diagnostics.push(entry);
        throw new Error('a listener that fails');
      },
    });
    const events: TaskEvent[] = [];
    for await (const event of client.observeTaskEvents('task-1')) events.push(event);
    expect(events.map(({ type }) => type)).toEqual(['UNKNOWN', 'UNKNOWN', 'TASK_PROGRESS', 'TASK_COMPLETED']);
    expect(events[0]).toMatchObject({ wireType: 'TASK_TELEPORTED', payload: { to: 'Mars' }, eventId: '1-0' });
    expect(events[1]).toMatchObject({ wireType: 'TASK_PROGRESS', payload: 'half' });
    const kinds = diagnostics.map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'malformed-payload')).toHaveLength(1);
    expect(kinds.filter((kind) => kind === 'unknown-event')).toHaveLength(2);
    expect(kinds.filter((kind) => kind === 'raw-payload')).toHaveLength(5);
    await eventually(() => streams === 2);
  });
});
