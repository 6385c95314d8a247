import type { Diagnostic, TaskBridgeClient, TaskBridgeClientOptions, TaskEvent } from '@taskbridge/client';
import { AbortController } from 'abort-controller';
import { FaultNetwork, PASS } from '../../../test/client/support/fault-network.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';
import { inReactNative, type SocketCall, webSocketOf } from './support/react-native.js';

const TYPES = ['TASK_STARTED', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_COMPLETED'];

async function typesOf(events: AsyncIterable<TaskEvent>): Promise<string[]> {
  const types: string[] = [];
  for await (const { type } of events) types.push(type);
  return types;
}

async function start(client: TaskBridgeClient, delayMs = 20): Promise<string> {
  return (await client.startTask({ taskType: 'ticks', input: { ticks: 3, delayMs } })).taskId;
}

describe('In React Native, the client', () => {
  let host: TestApp;
  let network: FaultNetwork;
  let diagnostics: Diagnostic[];
  let sockets: SocketCall[];

  beforeAll(async () => {
    host = await startTestApp({ providers: SCRIPTED_HANDLERS });
    network = await FaultNetwork.start([host.url]);
  });

  beforeEach(() => {
    network.reset();
    diagnostics = [];
    sockets = [];
  });

  afterAll(async () => {
    await network.close();
    await host.close();
  });

  const clientOf = async (
    options: Partial<TaskBridgeClientOptions> = {},
    globals: Record<string, unknown> = { WebSocket: webSocketOf(sockets) },
  ): Promise<TaskBridgeClient> => {
    const { TaskBridgeClient: Client } = await inReactNative(globals);
    return new Client({
      baseUrl: network.url,
      authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
      webSocketAuth: 'header',
      diagnostics: (entry) => diagnostics.push(entry),
      ...options,
      recovery: { initialDelayMs: 5, openTimeoutMs: 2_000, ...options.recovery },
    });
  };

  const connected = (): string[] =>
    diagnostics.flatMap((entry) => (entry.kind === 'connected' ? [entry.transport] : []));

  it('follows a task over a WebSocket with headers', async () => {
    const client = await clientOf();
    const taskId = await start(client);
    expect(await typesOf(client.observeTaskEvents(taskId))).toEqual(TYPES);
    expect(connected()).toEqual(['websocket']);
    const address = `${network.url.replace('http', 'ws')}/api/v1/tasks/ws`;
    expect(sockets).toEqual([{ address, protocols: [], options: { headers: { authorization: 'Bearer ada' } } }]);
    expect(await client.waitForResult(taskId)).toEqual({ ticks: 3 });
  });

  it('follows many tasks with tickets on one connection', async () => {
    const client = await clientOf({ webSocketAuth: 'ticket' });
    const session = client.session();
    const tasks = [await start(client), await start(client)];
    const logs = await Promise.all(tasks.map((taskId) => typesOf(session.observeTaskEvents(taskId))));
    expect(logs).toEqual([TYPES, TYPES]);
    expect(sockets).toHaveLength(1);
    session.close();
  });

  it('refreshes the token once when its words for a refused upgrade say 401', async () => {
    let token = 'ex-pi-red';
    const authHeaderProvider = (_: unknown, force: boolean): Record<string, string> => {
      if (force) token = 'ada';
      return { authorization: `Bearer ${token} `.trim() };
    };
    network.treat = ({ head, kind }) =>
      kind === 'websocket' && !head.includes('ada') ? { type: 'answer', status: 401 } : PASS;
    const taskId = await start(await clientOf());
    const client = await clientOf({ authHeaderProvider, transports: ['websocket'] });
    expect(await typesOf(client.observeTaskEvents(taskId))).toEqual(TYPES);
    expect(sockets.map(({ options }) => options)).toEqual([
      { headers: { authorization: 'Bearer ex-pi-red' } },
      { headers: { authorization: 'Bearer ada' } },
    ]);
  });

  it.each([
    ['is still running', 200],
    ['has ended', 0],
  ])('falls through to polling where no WebSocket passes, for a task that %s', async (_, delayMs) => {
    network.treat = ({ kind }) => (kind === 'websocket' ? { type: 'cut', bytes: 0 } : PASS);
    const client = await clientOf({ recovery: { openTimeoutMs: 300 } });
    const taskId = await start(client, delayMs);
    if (delayMs === 0) await host.as('ada').until(taskId, ({ status }) => status === 'COMPLETED');
    expect(await typesOf(client.observeTaskEvents(taskId))).toEqual(TYPES);
    expect(connected()[0]).toBe('poll');
    const lost = diagnostics.flatMap((entry) => (entry.kind === 'disconnected' ? [entry.transport] : []));
    expect(lost.slice(0, 2)).toEqual(['websocket', 'sse']);
  });

  it('polls where there is no WebSocket at all', async () => {
    const client = await clientOf({ transports: ['websocket', 'poll'] }, {});
    expect(await typesOf(client.observeTaskEvents(await start(client)))).toEqual(TYPES);
    expect(diagnostics[0]).toMatchObject({ kind: 'transport-missing', transport: 'websocket' });
  });

  it('answers, lists and cancels, and ends observations that are aborted or left', async () => {
    const client = await clientOf();
    const { taskId } = await client.startTask({ taskType: 'approval' });
    const controller = new AbortController();
    const signal = controller.signal as unknown as AbortSignal;
    const seen: string[] = [];
    const run = (async () => {
      for await (const { type } of client.observeTaskEvents(taskId, { signal })) {
        seen.push(type);
        if (type === 'TASK_SUSPENDED') setTimeout(() => controller.abort(), 20);
      }
    })();
    await expect(run).rejects.toMatchObject({ name: 'AbortError' });
    expect(seen.at(-1)).toBe('TASK_SUSPENDED');
    for await (const event of client.observeTaskEvents(taskId, { lastEventId: '0' })) {
      if (event.type !== 'TASK_SUSPENDED') continue;
      const { suspendId } = event.suspension;
      expect(await client.submitAction(taskId, { suspendId, actionType: 'reject' })).toMatchObject({
        status: 'ACCEPTED',
      });
      break;
    }
    expect(await client.waitForResult(taskId)).toMatchObject({ action: 'reject' });
    const long = await start(client, 60_000);
    const result = client.waitForResult(long);
    await client.cancelTask(long, 'enough');
    await expect(result).rejects.toMatchObject({ code: 'TASK_CANCELLED', reason: 'enough' });
    expect((await client.listTasks({ taskType: 'approval' })).items.map((task) => task.taskId)).toEqual([taskId]);
  });
});
