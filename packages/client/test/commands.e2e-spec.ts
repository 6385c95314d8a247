import { createHash } from 'node:crypto';
import { type Diagnostic, type TaskAttachment, TaskBridgeClient, taskRoutes } from '@taskbridge/client';
import { WebSocket } from 'ws';
import { FaultNetwork, PASS } from '../../../test/client/support/fault-network.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';

const CONTENT = 'käse,1\n';

const pieces = (): ReadableStream<Uint8Array> => new Blob([CONTENT]).stream() as ReadableStream<Uint8Array>;

/** Each way to give the same file. */
const FILES: [what: string, data: () => TaskAttachment['data']][] = [
  ['a blob', () => new Blob([CONTENT], { type: 'text/csv' })],
  ['a file', () => new File([CONTENT], 'elsewhere.csv', { type: 'text/csv' })],
  ['a stream', pieces],
  ['bytes', () => new TextEncoder().encode(CONTENT)],
  ['a buffer', () => new TextEncoder().encode(CONTENT).buffer],
  ['a text', () => CONTENT],
];

describe('Commands', () => {
  let host: TestApp;
  let network: FaultNetwork;
  let diagnostics: Diagnostic[];
  let client: TaskBridgeClient;

  beforeAll(async () => {
    host = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      taskBridge: { http: { tasksPath: '/projects/7/tasks' }, webSocket: { path: '/projects/7/live' } },
    });
    network = await FaultNetwork.start([host.url]);
  });

  beforeEach(() => {
    network.reset();
    diagnostics = [];
    client = new TaskBridgeClient({
      baseUrl: `${network.url}/`,
      routes: taskRoutes('/projects/7/tasks', '/projects/7/live'),
      authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
      webSocket: WebSocket,
      recovery: { initialDelayMs: 5 },
      diagnostics: (entry) => diagnostics.push(entry),
    });
  });

  afterAll(async () => {
    await network.close();
    await host.close();
  });

  /** Lets the instance do what it is asked, and loses its answer, so many times for each command. */
  const loseAnswers = (times: number): void => {
    network.treat = ({ kind, index }) => (kind === 'command' && index < times ? { type: 'cut', bytes: 20 } : PASS);
  };

  it.each(FILES)('start a task with %s, once, though two answers are lost', async (_, data) => {
    loseAnswers(2);
    const attachment = { name: 'rows.csv', data: data(), contentType: 'text/csv' };
    const task = { taskType: 'ticks', input: { ticks: 1 }, metadata: { from: 'test' } };
    const { taskId, deduplicated } = await client.startTaskMultipart({ ...task, attachments: [attachment] });
    expect(deduplicated).toBe(true);
    expect(diagnostics.filter(({ kind }) => kind === 'retry').length).toBeGreaterThanOrEqual(2);
    const { attachments, input, metadata } = await client.getTask(taskId);
    expect({ input, metadata }).toEqual({ input: task.input, metadata: task.metadata });
    const sha256 = createHash('sha256').update(CONTENT).digest('hex');
    expect(attachments).toMatchObject([{ name: 'rows.csv', contentType: 'text/csv', sha256 }]);
  });

  it('take effect once, however often they are repeated', async () => {
    loseAnswers(3);
    const { taskId } = await client.startTask({ taskType: 'approval' });
    const listed = await client.listTasks({ taskType: 'approval' });
    expect(listed.items.map((task) => task.taskId)).toEqual([taskId]);
    const bodies = network.requests.filter(({ path }) => path === '/projects/7/tasks');
    expect(bodies).toHaveLength(4);

    let suspendId = '';
    for await (const event of client.observeTaskEvents(taskId)) {
      if (event.type !== 'TASK_SUSPENDED') continue;
      suspendId = event.suspension.suspendId;
      break;
    }
    network.requests.length = 0;
    loseAnswers(2);
    const answer = await client.submitAction(taskId, { suspendId, actionType: 'reject' });
    expect(answer.status).toBe('DEDUPLICATED');
    expect(await client.waitForResult(taskId)).toMatchObject({ action: 'reject' });
    expect((await client.getTask(taskId)).actions).toMatchObject([{ suspendId, actionType: 'reject' }]);

    const { taskId: running } = await client.startTask({ taskType: 'approval' });
    network.requests.length = 0;
    loseAnswers(2);
    await client.cancelTask(running, 'enough');
    await expect(client.waitForResult(running)).rejects.toMatchObject({ code: 'TASK_CANCELLED', reason: 'enough' });
  });

  it('go by the routes of the host, over each transport', async () => {
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 2 } });
    await client.waitForResult(taskId);
    for (const refused of [[], ['websocket'], ['websocket', 'sse']]) {
      network.reset();
      network.treat = ({ kind }) => (refused.includes(kind) ? { type: 'answer', status: 403 } : PASS);
      const types: string[] = [];
      for await (const { type } of client.observeTaskEvents(taskId)) types.push(type);
      expect(types).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_COMPLETED']);
      expect(network.requests.every(({ path }) => path.startsWith('/projects/7/'))).toBe(true);
    }
  });

  it('can be given up, and give up by themselves when nobody answers', async () => {
    network.treat = () => ({ type: 'freeze', bytes: 0 });
    const signal = AbortSignal.timeout(50);
    await expect(client.startTask({ taskType: 'ticks' }, { signal })).rejects.toMatchObject({ name: 'TimeoutError' });
    network.treat = () => ({ type: 'cut', bytes: 0 });
    const call = client.listTasks();
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION_FAILED', cause: expect.anything() });
    expect(network.requests.filter(({ path }) => path === '/projects/7/tasks').length).toBeGreaterThanOrEqual(6);
  });
});
