import type { TaskEvent } from '@taskbridge/protocol';
import pg from 'pg';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { type ForkedHost, forkHost } from '../support/fork-host.js';
import { HttpClient } from '../support/http-client.js';
import { oneTo, readSse, readWebSocket, seqsOf } from '../support/stream-clients.js';

const TASKS = 10;
const STREAMS_PER_TASK = 20;

interface Follower {
  taskId: string;
  events: TaskEvent[];
  /** How its first connection ends: the WebSocket's close code, or `ended` / `broken` for SSE. */
  end: Promise<number | 'ended' | 'broken'>;
}

describe('an instance that goes away', () => {
  let database: TestDatabase;
  const hosts: ForkedHost[] = [];

  const start = async (options = {}): Promise<ForkedHost> => {
    const host = await forkHost(database, options);
    hosts.push(host);
    return host;
  };

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await Promise.all(hosts.splice(0).map((host) => host.end('SIGKILL')));
    await database.drop();
  });

  const follow = (url: string, taskId: string, index: number): Follower => {
    const events: TaskEvent[] = [];
    const request = { subject: 'ada', onEvent: (event: TaskEvent) => void events.push(event) };
    const end =
      index % 2 === 0
        ? readWebSocket(url, taskId, request).then(({ code }) => code)
        : readSse(url, taskId, request).then(() => 'ended' as const);
    return { taskId, events, end: end.catch(() => 'broken' as const) };
  };

  const everybodyFollows = (followers: readonly Follower[]): Promise<void> =>
    eventually(() => followers.every(({ events }) => events.length > 3), 30_000);

  const startTasks = async (url: string): Promise<string[]> => {
    const ada = new HttpClient(url, 'ada');
    const taskIds: string[] = [];
    for (let n = 0; n < TASKS; n += 1) taskIds.push(await ada.create('ticks', { ticks: 250, delayMs: 20 }));
    return taskIds;
  };

  const continueOn = async (url: string, { taskId, events }: Follower, index: number): Promise<number[]> => {
    const lastEventId = events.at(-1)?.eventId ?? '0';
    const read = index % 2 === 0 ? readWebSocket : readSse;
    const rest = await read(url, taskId, { subject: 'ada', lastEventId });
    return seqsOf([...events, ...rest.events]);
  };

  const query = async (sql: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(sql);
    await client.end();
    return rows;
  };

  it('on SIGTERM with 200 streams and running tasks exits in time, and nothing is lost', async () => {
    const first = await start({ shutdown: { drainWindowMs: 1_000, runTimeoutMs: 3_000 } });
    const taskIds = await startTasks(first.url);
    const followers = taskIds.flatMap((taskId) =>
      Array.from({ length: STREAMS_PER_TASK }, (_, index) => follow(first.url, taskId, index)),
    );
    expect(followers).toHaveLength(200);
    await everybodyFollows(followers);

    const toldAt = performance.now();
    // Nest raises the signal again once its hooks are done.
    expect(await first.end('SIGTERM')).toBe('SIGTERM');
    expect(performance.now() - toldAt).toBeLessThan(25_000);
    expect(first.errors).toBe('');

    const ends = await Promise.all(followers.map(({ end }) => end));
    expect(new Set(ends)).toEqual(new Set([1012, 'ended']));
    expect(await query('select 1 from taskbridge_tasks where lease_owner is not null or retries > 0')).toEqual([]);

    const second = await start();
    const logs = await Promise.all(followers.map((follower, index) => continueOn(second.url, follower, index)));
    const [log = []] = logs;
    expect(log).toEqual(oneTo(log.length));
    for (const [index, seqs] of logs.entries()) {
      const { lastEventId } = await new HttpClient(second.url, 'ada').snapshot(followers[index]?.taskId ?? '');
      expect(seqs).toEqual(oneTo(Number.parseInt(lastEventId ?? '', 10)));
    }
    const outcome = await query('select status, retries, count(*)::int as n from taskbridge_tasks group by 1, 2');
    expect(outcome).toEqual([{ status: 2, retries: 0, n: TASKS }]);
  }, 120_000);

  it('on SIGKILL leaves tasks that another instance finishes, and followers continue there', async () => {
    const options = { execution: { leaseMs: 1_500, heartbeatMs: 400 } };
    const first = await start(options);
    const taskIds = await startTasks(first.url);
    const followers = taskIds.map((taskId, index) => follow(first.url, taskId, index));
    await everybodyFollows(followers);
    expect(await first.end('SIGKILL')).toBe('SIGKILL');
    await Promise.all(followers.map(({ end }) => end));

    const second = await start(options);
    for (const [index, follower] of followers.entries()) {
      const seqs = await continueOn(second.url, follower, index);
      expect(seqs).toEqual(oneTo(seqs.length));
    }
    const outcome = await query(
      'select status, retries, attempt, count(*)::int as n from taskbridge_tasks group by 1, 2, 3',
    );
    expect(outcome).toMatchObject([{ status: 2, retries: 1, n: TASKS }]);
  }, 120_000);
});
