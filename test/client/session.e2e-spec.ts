import { type Diagnostic, type TaskBridgeClientOptions, type TaskSession } from '@taskbridge/client';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { StreamApp } from '../support/stream-app.js';
import { FaultNetwork, type PassingRequest } from './support/fault-network.js';
import { clientOf } from './support/torture-client.js';

const TASKS = 12;

describe('A session', () => {
  let opened: OpenTestDatabase;
  let instances: StreamApp[];
  let network: FaultNetwork;
  let session: TaskSession | undefined;

  beforeAll(async () => {
    opened = await openTestDatabase();
    const taskBridge = {
      streams: { webSocket: { heartbeatIntervalMs: 200 } },
      webSocket: { maxSubscriptionsPerConnection: 8 },
    };
    instances = [
      await StreamApp.open(opened.database, { taskBridge }),
      await StreamApp.open(opened.database, { taskBridge }),
    ];
    network = await FaultNetwork.start(instances.map(({ origin }) => origin));
  });

  beforeEach(() => network.reset());
  afterEach(() => session?.close());

  afterAll(async () => {
    await network.close();
    for (const instance of instances) await instance.close();
    await opened.close();
  });

  const open = (options: Partial<TaskBridgeClientOptions> = {}): TaskSession => {
    const recovery = { openTimeoutMs: 10_000, livenessTimeoutMs: 10_000, ...options.recovery };
    session = clientOf(network.url, { ...options, recovery }).session();
    return session;
  };

  const follow = async (from: TaskSession, taskId: string, seqs: string[] = []): Promise<string[]> => {
    for await (const { eventId } of from.observeTaskEvents(taskId, { signal: AbortSignal.timeout(20_000) })) {
      seqs.push(eventId);
    }
    return seqs;
  };

  const sockets = (): PassingRequest[] => network.requests.filter(({ kind }) => kind === 'websocket');

  it.each(['header', 'ticket'] as const)(
    'follows many tasks over few connections, with a %s',
    async (webSocketAuth) => {
      const many = open({ webSocketAuth });
      const tasks = await Promise.all(Array.from({ length: TASKS }, () => instances[0].taskWith(3)));
      const runs = tasks.map((taskId) => follow(many, taskId));
      for (const taskId of tasks) await instances[1].complete(taskId);
      const logs = await Promise.all(runs);
      expect(logs).toEqual(tasks.map(() => ['1-0', '2-0', '3-0', '4-0']));
      expect(sockets().length).toBeLessThanOrEqual(2);
      expect(network.requests.filter(({ kind }) => kind === 'sse')).toEqual([]);
    },
  );

  it('goes on with every task after its connection is reset', async () => {
    const many = open();
    const tasks = await Promise.all(Array.from({ length: 6 }, () => instances[0].taskWith(2)));
    const logs = tasks.map((): string[] => []);
    const runs = tasks.map((taskId, index) => follow(many, taskId, logs[index]));
    await eventually(() => logs.every(({ length }) => length === 2));
    network.cut();
    for (const taskId of tasks) await instances[1].complete(taskId);
    await Promise.all(runs);
    expect(logs).toEqual(tasks.map(() => ['1-0', '2-0', '3-0']));
    expect(sockets().length).toBe(2);
  });

  it('lives on the traffic of others, and takes a task again after it was left', async () => {
    const diagnostics: Diagnostic[] = [];
    const many = open({ diagnostics: (entry) => diagnostics.push(entry), recovery: { livenessTimeoutMs: 1_500 } });
    const [busy, quiet] = [await instances[0].taskWith(1), await instances[0].taskWith(1)];
    const runs = [follow(many, busy), follow(many, quiet)];
    const until = Date.now() + 2_500;
    for (let percent = 0; Date.now() < until; percent = (percent + 1) % 100) {
      await instances[0].progress(busy, percent);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(diagnostics.filter(({ kind }) => kind === 'disconnected')).toEqual([]);
    await instances[0].complete(busy);
    await instances[0].complete(quiet);
    expect((await runs[1]).length).toBe(2);
    await runs[0];

    const again = await instances[0].taskWith(2);
    for (let round = 0; round < 5; round += 1) {
      for await (const { eventId } of many.observeTaskEvents(again, { lastEventId: '0' })) {
        expect(eventId).toBe('1-0');
        break;
      }
    }
    expect(sockets().length).toBeLessThanOrEqual(2);
  });

  it('does without a WebSocket where none passes', async () => {
    network.treat = ({ kind }) => (kind === 'websocket' ? { type: 'cut', bytes: 0 } : { type: 'pass' });
    const taskId = await instances[0].taskWith(2);
    await instances[0].complete(taskId);
    expect(await follow(open(), taskId)).toEqual(['1-0', '2-0', '3-0']);
  });

  it('rejects one refused task and goes on with the others', async () => {
    const many = open();
    const [mine, foreign] = [await instances[0].taskWith(1), await instances[0].taskWith(1, 'bob')];
    const run = follow(many, mine);
    await expect(follow(many, foreign)).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await instances[0].complete(mine);
    expect(await run).toEqual(['1-0', '2-0']);
  });

  it('refuses what cannot be a task without a word to the server, and goes on with the others', async () => {
    const many = open({ webSocketAuth: 'header' });
    const mine = await instances[0].taskWith(1);
    const run = follow(many, mine);
    await eventually(() => sockets().length === 1);
    await expect(follow(many, '')).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await expect(follow(many, 'a/b')).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await instances[0].complete(mine);
    expect(await run).toEqual(['1-0', '2-0']);
    expect(sockets().length).toBe(1);
  });

  it('ends its observations when it is closed', async () => {
    const many = open();
    const run = follow(many, await instances[0].taskWith(1));
    await eventually(() => sockets().length === 1);
    many.close();
    await expect(run).rejects.toMatchObject({ name: 'TaskSessionClosed' });
    await eventually(() => instances.every((instance) => instance.leftovers().followers === 0));
  });
});
