import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { CanActivate, ExecutionContext } from '@nestjs/common';
import type { AuthRequest } from '../../lib/security/auth-context.js';
import { pathParams } from '../../lib/security/guarded-request.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { MultiplexClient } from '../support/multiplex-client.js';
import { BearerNames, NOTHING_LEFT, StreamApp } from '../support/stream-app.js';
import type { WebSocketClient } from '../support/websocket-client.js';

const HUNG = new Promise<never>(() => undefined);
const LATER_MS = 3_600_000;

/** Knows everybody, and never says who `Bearer stuck` is. */
class StuckNames extends BearerNames {
  override resolve(request: AuthRequest): ReturnType<BearerNames['resolve']> {
    return request.headers.authorization === 'Bearer stuck' ? (HUNG as never) : super.resolve(request);
  }
}

describe('guards of the host that never decide', () => {
  const undecided = new Set<string>();
  const guard: CanActivate = {
    canActivate: (context: ExecutionContext) => !undecided.has(pathParams(context)['taskId'] ?? '') || HUNG,
  };
  let database: { url: string };
  let closeDatabase: () => Promise<void>;
  let app: StreamApp;
  const clients: WebSocketClient[] = [];

  beforeEach(async () => {
    ({ database, close: closeDatabase } = await openTestDatabase());
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.socket.terminate();
    await app.close();
    await closeDatabase();
    undecided.clear();
  });

  const start = async (subscribeTimeoutMs: number, more: TaskBridgeOptions = {}): Promise<void> => {
    app = await StreamApp.open(database, {
      taskBridge: {
        authContextResolver: StuckNames,
        guards: { ownership: { useFactory: () => guard } },
        webSocket: { subscribeTimeoutMs },
        ...more,
      },
    });
  };

  const kept = <T extends WebSocketClient>(client: T): T => {
    clients.push(client);
    return client;
  };

  const multiplexed = () => kept(new MultiplexClient(app.webSocketUrl, { authorization: 'Bearer ada' })).ready();

  const undecidedTask = async (): Promise<string> => {
    const taskId = await app.taskWith(2);
    undecided.add(taskId);
    return taskId;
  };

  it('get an upgrade answered 503 after the subscribe time-out', async () => {
    await start(100);
    const { status, headers, body } = await app.webSocket({ authorization: 'Bearer stuck' }).refusedWith();
    expect([status, headers['retry-after'], JSON.parse(body).code]).toEqual([503, '2', 'SERVICE_UNAVAILABLE']);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  it('get a connection closed 1013 that waits for its one subscribe', async () => {
    await start(100);
    const client = kept(await app.subscribe(await undecidedTask()));
    expect(await client.closed()).toEqual([1013, 'SERVICE_UNAVAILABLE']);
    expect(client.frames).toEqual([]);
    await eventually(() => app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  it('get a subscribe among others ended by a frame, and the others go on', async () => {
    await start(300);
    const stuck = await Promise.all(Array.from({ length: 10 }, undecidedTask));
    const followed = await app.taskWith(2);
    const client = await multiplexed();
    client.subscribe(followed);
    for (const taskId of stuck) client.subscribe(taskId);
    for (const taskId of stuck) expect(await client.ends(taskId)).toEqual(['ERROR SERVICE_UNAVAILABLE']);
    await app.complete(followed);
    expect(await client.ends(followed)).toEqual(['TERMINAL']);
    expect(client.seqsOf(followed)).toEqual([1, 2, 3]);
    const [again] = stuck as [string];
    undecided.delete(again);
    client.subscribe(again);
    await eventually(() => client.seqsOf(again).length === 2);
    expect(client.closeCode).toBe(0);
    client.assertFrames();
  });

  it('do not hold up a shutdown', async () => {
    await start(LATER_MS, { shutdown: { drainWindowMs: 50, timeoutMs: LATER_MS } });
    const upgrade = app.webSocket({ authorization: 'Bearer stuck' });
    const one = kept(await app.subscribe(await undecidedTask()));
    const many = (await multiplexed()).subscribe(await undecidedTask());
    // The upgrade, two connections, and the subscribe of each.
    await eventually(() => app.leftovers().drainables === 5);
    await app.close();
    expect((await upgrade.refusedWith()).status).toBe(503);
    for (const client of [one, many]) expect(await client.closed()).toEqual([1012, 'SERVICE_UNAVAILABLE']);
  });
});
