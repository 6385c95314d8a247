import {
  type Diagnostic,
  TaskBridgeClient,
  type TaskBridgeClientOptions,
  type WebSocketConstructor,
} from '@taskbridge/client';
import { WebSocket } from 'ws';
import { type AuthContext, AuthContextResolver, type AuthRequest } from '../../../lib/index.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';

/** The token of a header, or of a subprotocol `bearer.<token>`; a token that has expired is nobody's. */
class TokenResolver extends AuthContextResolver {
  resolve({ headers }: AuthRequest): AuthContext | null {
    const { authorization = '', 'sec-websocket-protocol': offered = '' } = headers;
    const token = /^Bearer (\w+)$/.exec(authorization)?.[1] ?? /\bbearer\.(\w+)/.exec(offered)?.[1];
    if (token === undefined || token === 'expired') return null;
    return { subject: token, scopes: [], appId: null, attributes: {} };
  }
}

const platform = (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;

/** Node has one of its own since version 22. */
const IMPLEMENTATIONS: [name: string, implementation: WebSocketConstructor | undefined][] = [
  ['the package ws', WebSocket],
  ...(platform ? [['Node’s own', undefined] satisfies [string, undefined]] : []),
];

const AUTHS = ['ticket', 'subprotocol'] as const;

describe.each(IMPLEMENTATIONS)('The WebSocket of %s', (_, webSocket) => {
  let host: TestApp;
  let diagnostics: Diagnostic[];

  beforeAll(async () => {
    host = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      taskBridge: { authContextResolver: TokenResolver },
    });
  });

  beforeEach(() => {
    diagnostics = [];
  });

  afterAll(() => host.close());

  const clientOf = (options: Partial<TaskBridgeClientOptions>): TaskBridgeClient =>
    new TaskBridgeClient({
      baseUrl: host.url,
      authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
      webSocket,
      recovery: { initialDelayMs: 5 },
      diagnostics: (entry) => diagnostics.push(entry),
      ...options,
    });

  const connections = (): string[] =>
    diagnostics.flatMap((entry) => (entry.kind === 'connected' ? [entry.transport] : []));

  it.each(AUTHS)('follows a task to its end with a %s, and many on one connection', async (webSocketAuth) => {
    const client = clientOf({ webSocketAuth });
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 3, delayMs: 20 } });
    const types: string[] = [];
    for await (const { type } of client.observeTaskEvents(taskId)) types.push(type);
    expect(types).toEqual(['TASK_STARTED', ...Array.from({ length: 3 }, () => 'TASK_PROGRESS'), 'TASK_COMPLETED']);
    const session = client.session();
    const counts = [1, 2, 3].map(async (ticks) => {
      const task = await client.startTask({ taskType: 'ticks', input: { ticks } });
      let events = 0;
      for await (const event of session.observeTaskEvents(task.taskId)) events += Number(event.taskId === task.taskId);
      return events;
    });
    expect(await Promise.all(counts)).toEqual([3, 4, 5]);
    session.close();
    expect(connections()).toEqual(['websocket', 'websocket', 'websocket', 'websocket']);
  });

  it('gets through by another transport when its token has expired', async () => {
    let token = 'expired';
    const authHeaderProvider = (__: unknown, forceRefresh: boolean): Record<string, string> => {
      if (forceRefresh) token = 'ada';
      return { authorization: `Bearer ${token}` };
    };
    const { taskId } = await clientOf({}).startTask({ taskType: 'ticks', input: { ticks: 1 } });
    for (const webSocketAuth of AUTHS) {
      token = 'expired';
      const events = clientOf({ webSocketAuth, authHeaderProvider }).observeTaskEvents(taskId, { checkpoint: false });
      let count = 0;
      for await (const event of events) count += Number(event.taskId === taskId);
      expect(count).toBe(3);
    }
  });
});

describe('A WebSocket that says who asks by headers', () => {
  let host: TestApp;

  beforeAll(async () => {
    host = await startTestApp({ providers: SCRIPTED_HANDLERS, taskBridge: { authContextResolver: TokenResolver } });
  });

  afterAll(() => host.close());

  it.each(['header', 'subprotocol'] as const)(
    'refreshes the token once when the upgrade is answered by 401, with a %s, and then gives up',
    async (webSocketAuth) => {
      const given: string[] = [];
      let [token, refreshed] = ['expired', 'ada'];
      const client = new TaskBridgeClient({
        baseUrl: host.url,
        authHeaderProvider: (__, forceRefresh) => {
          if (forceRefresh) token = refreshed;
          given.push(token + (forceRefresh ? ' refreshed' : ''));
          return { authorization: `Bearer ${token}` };
        },
        webSocket: WebSocket,
        webSocketAuth,
        transports: ['websocket'],
        recovery: { initialDelayMs: 5 },
      });
      const session = client.session();
      for (const observer of [client, session]) {
        const taskId = await host.as('ada').create('ticks', { ticks: 1 });
        [token, refreshed] = ['expired', 'ada'];
        given.length = 0;
        const types: string[] = [];
        for await (const { type } of observer.observeTaskEvents(taskId)) types.push(type);
        expect(types).toEqual(['TASK_STARTED', 'TASK_PROGRESS', 'TASK_COMPLETED']);
        expect(given).toEqual(['expired', 'ada refreshed']);

        [token, refreshed] = ['expired', 'expired'];
        given.length = 0;
        const again = observer === client ? client : client.session();
        const events = again.observeTaskEvents(taskId)[Symbol.asyncIterator]();
        await expect(events.next()).rejects.toMatchObject({ code: 'AUTHENTICATION_ERROR', status: 401 });
        expect(given).toEqual(['expired', 'expired refreshed']);
      }
      session.close();
    },
  );
});
