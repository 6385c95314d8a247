import { jest } from '@jest/globals';
import { createHash } from 'node:crypto';
import { type AuthContext, AuthContextResolver, type AuthRequest } from '../../lib/security/auth-context.js';
import { OwnerOnlyPolicy } from '../../lib/security/ownership-policy.js';
import { TaskScheduler } from '../../lib/services/task-scheduler.js';
import type { TaskRecord } from '../../lib/stores/records.js';
import { taskNotFound } from '../../lib/taskbridge.errors.js';
import { type OpenTestDatabase, openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { HttpClient } from '../support/http-client.js';
import { MultiplexClient } from '../support/multiplex-client.js';
import { NOTHING_LEFT, StreamApp } from '../support/stream-app.js';
import { oneTo } from '../support/stream-clients.js';
import { WebSocketClient } from '../support/websocket-client.js';
import { WireValidator } from '../support/wire-validator.js';

const TICKET_ROUTE = '/api/v1/tasks/{taskId}/tickets';
const GARBAGE = ['', 'x', 'null', '%00', 'a'.repeat(43), 'a'.repeat(4_000), "'; drop table taskbridge_tasks; --"];

/** Anybody named in `Authorization: Bearer <name>` or in the subprotocol `bearer.<name>`. */
class NamesAnywhere extends AuthContextResolver {
  resolve({ headers }: AuthRequest): AuthContext | null {
    const offered = headers['sec-websocket-protocol'] ?? '';
    const [, subject] = /^Bearer (\w+)$/.exec(headers.authorization ?? '') ?? /bearer\.(\w+)/.exec(offered) ?? [];
    if (subject === undefined) return null;
    return { subject, scopes: ['tasks'], appId: 'shop', attributes: { team: { name: 'red', size: 3 } } };
  }
}

const revoked = new Set<string>();
const asked: AuthContext[] = [];

/** The owner, until that is revoked. */
class RevocablePolicy extends OwnerOnlyPolicy {
  override assertTaskAccess(auth: AuthContext, task: TaskRecord): void {
    asked.push(auth);
    if (revoked.has(task.taskId)) throw taskNotFound(task.taskId);
    super.assertTaskAccess(auth, task);
  }
}

const lines: string[] = [];
const keep = (...parts: unknown[]) => void lines.push(parts.map((part) => JSON.stringify(part) ?? '').join(' '));

describe('stream tickets', () => {
  let opened: OpenTestDatabase;
  let a: StreamApp;
  let b: StreamApp;
  let ada: HttpClient;

  const openApp = () =>
    StreamApp.open(opened.database, {
      taskBridge: { authContextResolver: NamesAnywhere, ownershipPolicy: RevocablePolicy },
      prepare: (app) => app.useLogger({ log: keep, warn: keep, error: keep, debug: keep, verbose: keep, fatal: keep }),
    });

  beforeAll(async () => {
    opened = await openTestDatabase();
    [a, b] = [await openApp(), await openApp()];
    ada = new HttpClient(a.origin, 'ada');
  });

  afterEach(async () => {
    for (const app of [a, b]) {
      await eventually(() => app.leftovers().drainables === 0);
      expect(app.leftovers()).toEqual(NOTHING_LEFT);
    }
  });

  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await opened.close();
  });

  const ticketFor = async (taskId: string, as = ada): Promise<string> => {
    const { status, body } = await as.post(`/api/v1/tasks/${taskId}/tickets`);
    expect(status).toBe(201);
    return String(body['ticket']);
  };
  const stored = () => opened.dataSource.query<{ ticket_hash: Buffer }[]>('select * from taskbridge_stream_tickets');
  const sse = (app: StreamApp, taskId: string, ticket: string) =>
    fetch(`${app.streamUrl(taskId)}?ticket=${encodeURIComponent(ticket)}`);
  const socket = (app: StreamApp, ticket: string, headers: Record<string, string> = {}) =>
    new MultiplexClient(`${app.webSocketUrl}?ticket=${encodeURIComponent(ticket)}`, headers);
  const refusalOf = async (response: Response) => [response.status, ((await response.json()) as { code: string }).code];
  const REFUSED = [401, 'AUTHENTICATION_ERROR'];

  it('are issued for a task that the caller may read, and kept as a hash only', async () => {
    const taskId = await a.taskWith(1);
    const answer = await ada.post(`/api/v1/tasks/${taskId}/tickets`);
    new WireValidator().body('stream-ticket', 'POST', TICKET_ROUTE, answer.status, answer.body);
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([201, 'no-store']);
    const { ticket, expiresAt } = answer.body as { ticket: string; expiresAt: string };
    expect(answer.body).toEqual({ ticket: expect.stringMatching(/^[\w-]{43}$/), taskId, expiresAt });
    const [clock] = await opened.dataSource.query<{ left: number }[]>(
      `select extract(epoch from $1::timestamptz - clock_timestamp())::float8 as left`,
      [expiresAt],
    );
    expect(clock?.left).toBeGreaterThan(0);
    expect(clock?.left).toBeLessThanOrEqual(30);
    const rows = await stored();
    expect(rows.map(({ ticket_hash }) => ticket_hash.toString('hex'))).toContain(
      createHash('sha256').update(ticket).digest('hex'),
    );
    expect(JSON.stringify(rows)).not.toContain(ticket);
    expect(await ticketFor(taskId)).not.toBe(ticket);
  });

  it('are refused to strangers, and for what is not theirs', async () => {
    const [taskId, foreign] = [await a.taskWith(1), await a.taskWith(1, 'grace')];
    const nobody = await new HttpClient(a.origin, null).post(`/api/v1/tasks/${taskId}/tickets`);
    expect([nobody.status, nobody.body['code']]).toEqual(REFUSED);
    for (const id of [foreign, 'nonsense', '0199d1b0-0000-7000-8000-000000000001']) {
      const { status, body } = await ada.post(`/api/v1/tasks/${id}/tickets`);
      expect([status, body['code']]).toEqual([404, 'TASK_NOT_FOUND']);
    }
    const empty = await ada.post(`/api/v1/tasks/${taskId}/tickets`, '');
    expect(empty.status).toBe(201);
  });

  it('open one SSE stream, once, as whom they were issued to', async () => {
    const taskId = await a.taskWith(3);
    await a.complete(taskId);
    const ticket = await ticketFor(taskId);
    asked.length = 0;
    const response = await sse(b, taskId.toUpperCase(), ticket);
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect((await response.text()).match(/^id: .*$/gm)).toEqual(['id: 1-0', 'id: 2-0', 'id: 3-0', 'id: 4-0']);
    expect(asked).toEqual([
      { subject: 'ada', scopes: ['tasks'], appId: 'shop', attributes: { team: { name: 'red', size: 3 } } },
    ]);
    for (const app of [a, b]) expect(await refusalOf(await sse(app, taskId, ticket))).toEqual(REFUSED);
  });

  it('open one WebSocket, once, and every subscribe to their task on it', async () => {
    const taskId = await a.taskWith(3);
    const ticket = await ticketFor(taskId);
    const client = await socket(b, ticket).ready();
    client.subscribe(taskId);
    await client.received(3);
    client.unsubscribe(taskId);
    await client.ends(taskId);
    client.subscribe(taskId, { lastEventId: '2' });
    await client.received(4);
    expect(client.seqsOf(taskId)).toEqual([1, 2, 3, 3]);
    const again = await socket(a, ticket).refusedWith();
    expect([again.status, JSON.parse(again.body).code]).toEqual(REFUSED);
    client.socket.terminate();
  });

  it('open the connection of a client that follows one task', async () => {
    const [taskId, other] = [await a.taskWith(1), await a.taskWith(1)];
    const plain = await socket(a, await ticketFor(taskId)).ready();
    plain.send({ action: 'subscribe', taskId });
    await plain.received(1);
    await a.complete(taskId);
    expect(await plain.closed()).toEqual([1000, 'TASK_ENDED']);
    const elsewhere = await socket(a, await ticketFor(taskId)).ready();
    elsewhere.send({ action: 'subscribe', taskId: other });
    expect(await elsewhere.closed()).toEqual([1008, 'AUTHENTICATION_ERROR']);
    const ignored = await a.subscribe(other, null, { ticket: 'x' });
    await ignored.received(1);
    ignored.socket.terminate();
  });

  it('are good for their task only: others need a ticket or credentials of their own', async () => {
    const [first, second, third] = [await a.taskWith(1), await a.taskWith(1), await a.taskWith(1, 'grace')];
    const client = await socket(a, await ticketFor(first)).ready();
    client.subscribe(first).subscribe(second);
    expect(await client.ends(second)).toEqual(['REFUSED AUTHENTICATION_ERROR']);
    const grace = new HttpClient(a.origin, 'grace');
    client.subscribe(second, { ticket: await ticketFor(second) });
    client.subscribe(third, { ticket: await ticketFor(third, grace) });
    await client.received(3);
    expect([first, second, third].map((taskId) => client.seqsOf(taskId))).toEqual([[1], [1], [1]]);
    client.unsubscribe(second);
    await client.ends(second, 2);
    client.subscribe(second);
    expect((await client.ends(second, 3)).at(-1)).toBe('REFUSED AUTHENTICATION_ERROR');
    client.assertFrames();
    client.socket.terminate();

    const both = await socket(a, await ticketFor(third, grace), { authorization: 'Bearer ada' }).ready();
    both.subscribe(second).subscribe(third);
    await both.received(2);
    both.subscribe(await a.taskWith(1, 'eve'));
    await eventually(() => both.frames.some(({ reason }) => reason === 'REFUSED'));
    expect(both.frames.at(-1)).toMatchObject({ error: { code: 'TASK_NOT_FOUND' } });
    both.socket.terminate();
  });

  it('are spent by being presented, also for another task', async () => {
    const [taskId, other] = [await a.taskWith(1), await a.taskWith(1)];
    const ticket = await ticketFor(taskId);
    expect(await refusalOf(await sse(a, other, ticket))).toEqual(REFUSED);
    expect(await refusalOf(await sse(a, taskId, ticket))).toEqual(REFUSED);
    const client = await new MultiplexClient(a.webSocketUrl, { authorization: 'Bearer ada' }).ready();
    const second = await ticketFor(taskId);
    client.subscribe(other, { ticket: second });
    expect(await client.ends(other)).toEqual(['REFUSED AUTHENTICATION_ERROR']);
    client.subscribe(taskId, { ticket: second });
    expect(await client.ends(taskId)).toEqual(['REFUSED AUTHENTICATION_ERROR']);
    client.subscribe(taskId);
    await client.received(1);
    client.socket.terminate();
  });

  it('are not good for any other route', async () => {
    const taskId = await a.taskWith(1);
    const ticket = await ticketFor(taskId);
    const nobody = new HttpClient(a.origin, null);
    const task = `/api/v1/tasks/${taskId}`;
    for (const path of ['', '/events', '/diagnosis']) {
      expect((await nobody.get(`${task}${path}?ticket=${ticket}`)).status).toBe(401);
    }
    for (const path of ['/cancel', '/actions', '/tickets']) {
      expect((await nobody.post(`${task}${path}?ticket=${ticket}`, {})).status).toBe(401);
    }
    const response = await sse(a, taskId, ticket);
    expect(response.status).toBe(200);
    await response.body?.cancel();
  });

  it('that are garbage are refused on every way in', async () => {
    const taskId = await a.taskWith(1);
    const client = await new MultiplexClient(a.webSocketUrl, { authorization: 'Bearer ada' }).ready();
    for (const [index, ticket] of GARBAGE.entries()) {
      expect(await refusalOf(await sse(a, taskId, ticket))).toEqual(REFUSED);
      expect((await socket(a, ticket).refusedWith()).status).toBe(401);
      client.subscribe(taskId, { ticket });
      expect((await client.ends(taskId, index + 1)).at(-1)).toBe('REFUSED AUTHENTICATION_ERROR');
    }
    const [one, two] = [await ticketFor(taskId), await ticketFor(taskId)];
    expect(await refusalOf(await fetch(`${a.streamUrl(taskId)}?ticket=${one}&ticket=${two}`))).toEqual(REFUSED);
    client.socket.terminate();
  });

  it('presented twice at once on two instances let exactly one in', async () => {
    const taskId = await a.taskWith(1);
    await a.complete(taskId);
    for (let round = 0; round < 15; round += 1) {
      const ticket = await ticketFor(taskId);
      const upgrade = async (app: StreamApp) => {
        const client = socket(app, ticket);
        await Promise.race([client.opened, client.refusedWith()]);
        client.socket.terminate();
        return client.refusal ? client.refusal.status : 200;
      };
      const stream = async (app: StreamApp) => {
        const response = await sse(app, taskId, ticket);
        await response.text();
        return response.status;
      };
      const statuses = await Promise.all([stream(a), stream(b), upgrade(a), upgrade(b), stream(b)]);
      expect(statuses.toSorted()).toEqual([200, 401, 401, 401, 401]);
    }
  });

  it('do not outlive the right to see the task', async () => {
    const taskId = await a.taskWith(1);
    const [first, second, third] = [await ticketFor(taskId), await ticketFor(taskId), await ticketFor(taskId)];
    const client = await socket(a, first).ready();
    client.subscribe(taskId);
    await client.received(1);
    client.unsubscribe(taskId);
    await client.ends(taskId);
    revoked.add(taskId);
    expect(await refusalOf(await sse(a, taskId, second))).toEqual([404, 'TASK_NOT_FOUND']);
    client.subscribe(taskId).subscribe(taskId.toUpperCase(), { ticket: third });
    expect(await client.ends(taskId, 2)).toEqual(['UNSUBSCRIBED', 'REFUSED TASK_NOT_FOUND']);
    expect((await ada.post(`/api/v1/tasks/${taskId}/tickets`)).status).toBe(404);
    client.socket.terminate();
  });

  it('expire on the clock of the database', async () => {
    const taskId = await a.taskWith(1);
    await a.complete(taskId);
    const [late, early] = [await ticketFor(taskId), await ticketFor(taskId)];
    await opened.dataSource.query(
      'update taskbridge_stream_tickets set expires_at = clock_timestamp() where ticket_hash = $1',
      [createHash('sha256').update(late).digest()],
    );
    expect(await refusalOf(await sse(a, taskId, late))).toEqual(REFUSED);
    const now = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
    const response = await sse(a, taskId, early);
    now.mockRestore();
    expect([response.status, (await response.text()).length > 0]).toEqual([200, true]);
  });

  it('that nobody presents are swept once they have expired', async () => {
    const taskId = await a.taskWith(1);
    await Promise.all(oneTo(5).map(() => ticketFor(taskId)));
    await opened.dataSource.query(`update taskbridge_stream_tickets set expires_at = clock_timestamp()`);
    const fresh = await ticketFor(taskId);
    await a.get(TaskScheduler).runRound();
    const left = await stored();
    expect(left.map(({ ticket_hash }) => ticket_hash.toString('hex'))).toEqual([
      createHash('sha256').update(fresh).digest('hex'),
    ]);
  });

  it('are in no line of the log, whatever becomes of them', async () => {
    lines.length = 0;
    const taskId = await a.taskWith(1);
    const tickets = await Promise.all(oneTo(6).map(() => ticketFor(taskId)));
    const [good = '', used = '', unusable = '', inFrame = '', atUpgrade = ''] = tickets;
    await (await sse(a, taskId, good)).body?.cancel();
    const client = await socket(a, used).ready();
    await opened.dataSource.query('alter table taskbridge_stream_tickets rename to hidden');
    try {
      expect((await sse(a, taskId, unusable)).status).toBe(500);
      expect((await socket(a, atUpgrade).refusedWith()).status).toBe(500);
      client.subscribe(taskId, { ticket: inFrame });
      expect(await client.ends(taskId)).toEqual(['ERROR INTERNAL_ERROR']);
    } finally {
      await opened.dataSource.query('alter table hidden rename to taskbridge_stream_tickets');
    }
    expect((await socket(a, used).refusedWith()).status).toBe(401);
    client.socket.terminate();
    expect(lines.filter((line) => line.includes('hidden') || line.includes('stream_tickets')).length).toBe(3);
    for (const ticket of tickets) expect(lines.filter((line) => line.includes(ticket))).toEqual([]);
  });
});

describe('the subprotocol of an upgrade', () => {
  let opened: OpenTestDatabase;
  let app: StreamApp;

  beforeAll(async () => {
    opened = await openTestDatabase();
    app = await StreamApp.open(opened.database, { taskBridge: { authContextResolver: NamesAnywhere } });
  });

  afterAll(async () => {
    await app.close();
    await opened.close();
  });

  it.each([
    [['taskbridge', 'bearer.ada'], 'taskbridge'],
    [['bearer.ada', 'taskbridge'], 'taskbridge'],
    [['taskbridge'], 'taskbridge'],
    [['bearer.ada', 'chat'], 'chat'],
    [['chat', 'bearer.ada'], 'chat'],
  ])('of %j is selected without echoing a token', async (offered, selected) => {
    const client = new WebSocketClient(app.webSocketUrl, { authorization: 'Bearer ada' }, offered);
    await client.opened;
    expect(client.socket.protocol).toBe(selected);
    client.socket.terminate();
  });

  it('carries the token of a client that cannot set headers', async () => {
    const taskId = await app.taskWith(2);
    const client = new MultiplexClient(app.webSocketUrl, {}, ['taskbridge', 'bearer.ada']);
    (await client.ready()).subscribe(taskId);
    await client.received(2);
    client.socket.terminate();
  });

  it.each([['bearer.ada'], ['v1.Bearer.ada'], ['access_token-ada'], ['e'.repeat(41)]])(
    'is none where only credentials are offered: %s',
    async (offered) => {
      const response = await new Promise<{ headers: Record<string, unknown> }>((resolve) => {
        const client = new WebSocketClient(app.webSocketUrl, { authorization: 'Bearer ada' }, [offered]);
        client.socket.once('upgrade', resolve);
      });
      expect(response.headers['sec-websocket-protocol']).toBeUndefined();
    },
  );
});

describe('the life of stream tickets', () => {
  let opened: OpenTestDatabase;
  const apps: StreamApp[] = [];

  beforeAll(async () => {
    opened = await openTestDatabase();
  });

  afterEach(() => Promise.all(apps.splice(0).map((app) => app.close())));

  afterAll(() => opened.close());

  const withLife = async (ttlMs: number): Promise<StreamApp> => {
    const app = await StreamApp.open(opened.database, { taskBridge: { tickets: { ttlMs } } });
    apps.push(app);
    return app;
  };
  const issue = async (app: StreamApp) => {
    const taskId = await app.taskWith(1);
    const { body } = await new HttpClient(app.origin, 'ada').post(`/api/v1/tasks/${taskId}/tickets`);
    return body as { ticket: string; taskId: string; expiresAt: string };
  };
  const secondsUntil = async (time: string): Promise<number> => {
    const sql = 'select extract(epoch from $1::timestamptz - clock_timestamp())::float8 as left';
    const [clock] = await opened.dataSource.query<{ left: number }[]>(sql, [time]);
    return clock?.left ?? Number.NaN;
  };

  it('is what the app has set', async () => {
    const app = await withLife(3_600_000);
    const left = await secondsUntil((await issue(app)).expiresAt);
    expect(left).toBeGreaterThan(1_800);
    expect(left).toBeLessThanOrEqual(3_600);
  });

  it('is over then, on every route', async () => {
    const app = await withLife(50);
    const [forStream, forSocket] = [await issue(app), await issue(app)];
    await eventually(async () => (await secondsUntil(forSocket.expiresAt)) < 0);
    const { status } = await fetch(`${app.streamUrl(forStream.taskId)}?ticket=${forStream.ticket}`);
    const socket = await new MultiplexClient(`${app.webSocketUrl}?ticket=${forSocket.ticket}`, {}).refusedWith();
    expect([status, socket.status]).toEqual([401, 401]);
  });

  it.each([-5, 0, Number.NaN])('cannot be %p ms: the app does not boot', async (ttlMs) => {
    await expect(withLife(ttlMs)).rejects.toThrow('option tickets.ttlMs must be a positive number');
  });
});

describe('an app on a database that has not been migrated to tickets', () => {
  it('refuses to boot and names the table', async () => {
    const { database, dataSource, close } = await openTestDatabase();
    try {
      await dataSource.query('drop table taskbridge_stream_tickets');
      await expect(StreamApp.open(database)).rejects.toThrow('taskbridge_stream_tickets');
    } finally {
      await close();
    }
  });
});
