import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskEvent } from '@taskbridge/protocol';
import { firstValueFrom, take, toArray } from 'rxjs';
import { v7 as uuidv7 } from 'uuid';
import { TaskPollingService } from '../../lib/services/task-polling.service.js';
import { PostgresWakeUps, StreamDrain, TaskEventStream } from '../../lib/streams/index.js';
import { TASKBRIDGE_DATA_SOURCE } from '../../lib/taskbridge.tokens.js';
import type { DataSource } from 'typeorm';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { NOTHING_LEFT, StreamApp } from '../support/stream-app.js';

const ROUNDS = 200;

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

const seqOf = ({ eventId }: TaskEvent) => Number.parseInt(eventId, 10);

/** Polls until the task has ended, the way a client does. */
async function pollToEnd(app: StreamApp, taskId: string, afterSeq: number): Promise<number[]> {
  const seqs: number[] = [];
  for (let cursor = afterSeq, isOpen = true; isOpen;) {
    const page = await app
      .get(TaskPollingService)
      .poll({ taskId, afterSeq: cursor, waitTimeoutMs: 5_000, maxEvents: 3 });
    seqs.push(...page.events.map(seqOf));
    cursor = seqs.at(-1) ?? cursor;
    isOpen = page.events.at(-1)?.type !== 'TASK_COMPLETED';
  }
  return seqs;
}

/** Follows over one of the transports, by turns, until the task has ended. */
async function followBy(app: StreamApp, taskId: string, after: number, kind: number): Promise<number[]> {
  if (kind % 4 === 0) return (await app.sse(taskId, { query: `lastEventId=${after}` }).ended()).seqs;
  if (kind % 4 === 1) return pollToEnd(app, taskId, after);
  if (kind % 4 === 2) {
    const events = app.get(TaskEventStream).events$(taskId, `${after}-0`);
    return (await firstValueFrom(events.pipe(toArray()))).map(seqOf);
  }
  const client = await app.subscribe(taskId, `${after}-0`);
  expect((await client.closed())[0]).toBe(1000);
  return client.seqs;
}

describe('following a running task', () => {
  let database: { url: string };
  let closeDatabase: () => Promise<void>;
  let a: StreamApp;
  let b: StreamApp;

  beforeAll(async () => {
    ({ database, close: closeDatabase } = await openTestDatabase());
    [a, b] = await Promise.all([StreamApp.open(database), StreamApp.open(database)]);
  });

  afterAll(async () => {
    await Promise.all([a.close(), b.close()]);
    await closeDatabase();
  });

  async function expectNothingLeft(): Promise<void> {
    await eventually(() => a.leftovers().drainables + b.leftovers().drainables === 0);
    expect([a.leftovers(), b.leftovers()]).toEqual([NOTHING_LEFT, NOTHING_LEFT]);
  }

  it.each([
    ['in the process that appends', () => a],
    ['in another process', () => b],
  ])(
    `misses and repeats nothing when it begins right before and after each append, ${ROUNDS} rounds, %s`,
    async (_where, follower) => {
      const app = follower();
      for (let round = 0; round < ROUNDS / 10; round += 1) {
        await Promise.all(range(1, 10).map((index) => followAround(app, round * 10 + index)));
      }
      await expectNothingLeft();
    },
    120_000,
  );

  /** Begins one stream of each kind before and after every append of a short task. */
  async function followAround(app: StreamApp, round: number): Promise<void> {
    const taskId = await a.createTask();
    const streams: { after: number; seqs: Promise<number[]> }[] = [];
    let appended = 0;
    const begin = () => {
      // Half of the rounds replay from the start, the others begin at the live end.
      const after = round % 2 === 0 ? 0 : appended;
      streams.push({ after, seqs: followBy(app, taskId, after, streams.length + round) });
    };
    const progress = () => a.progress(taskId, 1);
    for (const append of [() => a.start(taskId), progress, progress, () => a.complete(taskId)]) {
      begin();
      const appending = append();
      begin();
      appended = await appending;
      if (appended < 4) begin();
    }
    for (const { after, seqs } of streams) expect(await seqs).toEqual(range(after + 1, 4));
  }

  it('reaches the followers of another process over every transport, large events included', async () => {
    const taskId = await a.createTask();
    const [sse, webSocket] = [b.sse(taskId), await b.subscribe(taskId)];
    const polled = pollToEnd(b, taskId, 0);
    await sse.answered();
    await a.start(taskId);
    for (let index = 0; index < 100; index += 1)
      await a.progress(taskId, index, 'v'.repeat(index % 7 === 0 ? 9_000 : 9));
    await a.complete(taskId);
    await Promise.all([sse.ended(), webSocket.closed()]);
    expect([sse.seqs, webSocket.seqs, await polled]).toEqual([range(1, 102), range(1, 102), range(1, 102)]);
    expect(webSocket.events).toEqual(sse.events);
    await expectNothingLeft();
  });

  it('goes on without notifications when the listening connections are killed again and again', async () => {
    const taskId = await a.createTask();
    const sse = b.sse(taskId);
    await a.start(taskId);
    const dataSource = a.app.get<DataSource>(TASKBRIDGE_DATA_SOURCE, { strict: false });
    for (let index = 0; index < 200; index += 1) {
      if (index % 40 === 20) {
        await dataSource.query(
          `select pg_terminate_backend(pid) from pg_stat_activity
           where datname = current_database() and application_name in ('taskbridge listen', 'taskbridge notify')`,
        );
      }
      await a.progress(taskId, index % 100);
    }
    await a.complete(taskId);
    await sse.ended(20_000);
    expect(sse.seqs).toEqual(range(1, 202));
    await eventually(() => b.get(PostgresWakeUps).hearsOthers && a.get(PostgresWakeUps).hearsOthers);
    await expectNothingLeft();
  });

  it('finds events by the backstop poll when no process notifies', async () => {
    const deaf = await StreamApp.open(database, { taskBridge: { streams: { backstopPollMs: 200, deafPollMs: 100 } } });
    await deaf.get(PostgresWakeUps).stop();
    const taskId = await a.createTask();
    const sse = await deaf.sse(taskId).answered();
    await a.start(taskId);
    await sse.received(1, 5_000);
    await a.complete(taskId);
    await sse.ended();
    expect(sse.seqs).toEqual([1, 2]);
    await deaf.close();
  });

  it('gives hosts the log as an Observable that completes', async () => {
    const taskId = await a.taskWith(3);
    const stream = a.get(TaskEventStream);
    const replayed = await firstValueFrom(stream.events$(taskId).pipe(take(3), toArray()));
    expect(replayed.map(seqOf)).toEqual([1, 2, 3]);
    const live = firstValueFrom(stream.events$(taskId, '2-0').pipe(toArray()));
    await a.complete(taskId, { ok: true });
    expect((await live).map(seqOf)).toEqual([3, 4]);
    expect(await firstValueFrom(stream.events$(taskId, '4-0').pipe(toArray()))).toEqual([]);
    await expect(firstValueFrom(stream.events$(uuidv7()))).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    await expect(firstValueFrom(stream.events$(taskId, '9-0'))).rejects.toMatchObject({ code: 'INVALID_CURSOR' });
    await expect(firstValueFrom(stream.events$(taskId, 'x'))).rejects.toMatchObject({ code: 'INVALID_CURSOR' });
    await expectNothingLeft();
  });

  it('is ended with a retryable signal over the drain window, and refused from then on', async () => {
    const app = await StreamApp.open(database, { taskBridge: { shutdown: { drainWindowMs: 400 } } });
    const taskId = await app.taskWith(2);
    const sse = range(1, 40).map(() => app.sse(taskId));
    const webSockets = await Promise.all(range(1, 40).map(() => app.subscribe(taskId)));
    const silent = app.webSocket();
    await silent.opened;
    const observed = firstValueFrom(app.get(TaskEventStream).events$(taskId).pipe(toArray()));
    const observedEnd = expect(observed).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    for (const client of [...sse, ...webSockets]) await client.received(2);

    const started = performance.now();
    const drained = app.get(StreamDrain).drain();
    const [late, lateSocket] = [await app.sse(taskId).ended(), await app.webSocket().refusedWith()];
    await drained;
    expect(performance.now() - started).toBeLessThan(2_000);
    expect([late.status, late.json.code, late.headers['retry-after']]).toEqual([503, 'SERVICE_UNAVAILABLE', '1']);
    expect([lateSocket.status, lateSocket.headers['retry-after']]).toEqual([503, '1']);
    for (const client of sse) expect((await client.ended()).isBroken).toBe(false);
    for (const client of [...webSockets, silent]) {
      expect(await client.closed()).toEqual([1012, 'SERVICE_UNAVAILABLE']);
    }
    await observedEnd;
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
    await app.close();
  });

  it('does not hold up a shutdown with streams open and readers stalled', async () => {
    const app = await StreamApp.open(database);
    const taskId = await app.taskWith(2);
    const clients = range(1, 25).map(() => app.sse(taskId));
    const sockets = await Promise.all(range(1, 25).map(() => app.subscribe(taskId)));
    for (const client of [...clients, ...sockets]) await client.received(2);
    const [stalled, stalledSocket] = [clients[0], sockets[0]];
    stalled?.pause();
    stalledSocket?.socket.pause();
    await Promise.all(range(1, 150).map(() => app.progress(taskId, 1, 'u'.repeat(60_000))));
    const started = performance.now();
    await app.close();
    expect(performance.now() - started).toBeLessThan(8_000);
    stalled?.disconnect();
    stalledSocket?.socket.terminate();
  });
});
