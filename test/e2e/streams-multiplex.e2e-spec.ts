import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { TaskRetentionService } from '../../lib/services/task-retention.service.js';
import { StreamDrain } from '../../lib/streams/index.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { TASKBRIDGE_DATA_SOURCE } from '../../lib/taskbridge.tokens.js';
import { SeededRandom } from '../faults/support/random.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { MultiplexClient } from '../support/multiplex-client.js';
import { HOUR_MS, makeOlder } from '../support/retention.js';
import { NOTHING_LEFT, StreamApp, withStreamApp } from '../support/stream-app.js';
import { oneTo } from '../support/stream-clients.js';

const open = (app: StreamApp) => new MultiplexClient(app.webSocketUrl, { authorization: 'Bearer ada' }).ready();

/** Frames of one task that do not belong where they are: each subscription is confirmed, goes on without a hole, and ends. */
function brokenFrames(frames: readonly Record<string, unknown>[]): Record<string, unknown>[] {
  let next: number | undefined;
  return frames.filter(({ type, eventId, replayStartedAfterEventId, error }) => {
    if ((error as { code: string } | undefined)?.code === 'ALREADY_SUBSCRIBED') return false;
    const before = next;
    if (type === 'SUBSCRIPTION_CONFIRMED') next = Number(replayStartedAfterEventId) + 1;
    else if (type === 'SUBSCRIPTION_ENDED') next = undefined;
    else if (next !== undefined) next += 1;
    if (type === 'SUBSCRIPTION_CONFIRMED') return before !== undefined;
    return type !== 'SUBSCRIPTION_ENDED' && Number.parseInt(String(eventId), 10) !== before;
  });
}

const withTuned = (taskBridge: TaskBridgeOptions, work: (app: StreamApp) => Promise<void>) =>
  withStreamApp({ taskBridge }, async (app) => {
    await work(app);
    await eventually(() => app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

describe('a multiplexed WebSocket', () => {
  let app: StreamApp;
  let client: MultiplexClient;
  let closeDatabase: () => Promise<void>;

  beforeAll(async () => {
    const { database, close } = await openTestDatabase();
    closeDatabase = close;
    app = await StreamApp.open(database, {
      taskBridge: { streams: { webSocket: { replayBatchSize: 5 }, tailEvents: 8 } },
    });
  });

  beforeEach(async () => {
    client = await open(app);
  });

  afterEach(async () => {
    client.assertFrames();
    client.socket.terminate();
    await eventually(() => app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  afterAll(async () => {
    await app.close();
    await closeDatabase();
  });

  it('confirms each task, sends its events and ends it by a frame, and stays open', async () => {
    const [first, second] = [await app.taskWith(3), await app.taskWith(2)];
    client.subscribe(first).subscribe(second, { lastEventId: '1-0' });
    await client.received(4);
    await app.complete(first);
    expect(await client.ends(first)).toEqual(['TERMINAL']);
    await app.progress(second, 50);
    await app.complete(second);
    expect(await client.ends(second)).toEqual(['TERMINAL']);
    expect(client.of(first)[0]).toEqual({
      type: 'SUBSCRIPTION_CONFIRMED',
      taskId: first,
      replayStartedAfterEventId: null,
      live: true,
    });
    expect(client.of(second)[0]).toMatchObject({ type: 'SUBSCRIPTION_CONFIRMED', replayStartedAfterEventId: '1-0' });
    expect(client.of(first).at(-1)).toEqual({ type: 'SUBSCRIPTION_ENDED', taskId: first, reason: 'TERMINAL' });
    expect([client.seqsOf(first), client.seqsOf(second)]).toEqual([oneTo(4), [2, 3, 4]]);
    const third = await app.taskWith(1);
    client.subscribe(third);
    await eventually(() => client.seqsOf(third).length === 1);
    expect(client.closeCode).toBe(0);
  });

  it('carries a hundred tasks at once, each in order and to its end', async () => {
    const tasks = await Promise.all(Array.from({ length: 100 }, () => app.taskWith(3)));
    for (const taskId of tasks) client.subscribe(taskId);
    for (let round = 0; round < 4; round += 1) {
      await Promise.all(tasks.map((taskId) => app.progress(taskId, round)));
    }
    await Promise.all(tasks.map((taskId) => app.complete(taskId)));
    for (const taskId of tasks) expect(await client.ends(taskId)).toEqual(['TERMINAL']);
    expect(tasks.map((taskId) => client.seqsOf(taskId))).toEqual(tasks.map(() => oneTo(8)));
  });

  it('confirms a task whose cursor is at its end, and ends it', async () => {
    const taskId = await app.taskWith(2);
    await app.complete(taskId);
    client.subscribe(taskId, { lastEventId: '3' });
    expect(await client.ends(taskId)).toEqual(['TERMINAL']);
    expect(client.frames.map(({ type }) => type)).toEqual(['SUBSCRIPTION_CONFIRMED', 'SUBSCRIPTION_ENDED']);
  });

  it('sends nothing of a task after its unsubscribe in mid-replay, and goes on where the next subscribe says', async () => {
    const [left, kept] = [await app.taskWith(600), await app.taskWith(600)];
    client.subscribe(left).subscribe(kept);
    await eventually(() => client.seqsOf(left).length > 0);
    client.unsubscribe(left);
    expect(await client.ends(left)).toEqual(['UNSUBSCRIBED']);
    const had = client.seqsOf(left);
    expect(had).toEqual(oneTo(had.length));
    await app.complete(left);
    await app.complete(kept);
    expect(await client.ends(kept)).toEqual(['TERMINAL']);
    expect(client.seqsOf(kept)).toEqual(oneTo(601));
    expect(client.of(left).at(-1)).toEqual({ type: 'SUBSCRIPTION_ENDED', taskId: left, reason: 'UNSUBSCRIBED' });
    client.subscribe(left, { lastEventId: `${had.length}-0` });
    expect(await client.ends(left, 2)).toEqual(['UNSUBSCRIBED', 'TERMINAL']);
    expect(client.seqsOf(left)).toEqual(oneTo(601));
  });

  it('ends without a confirmation what is unsubscribed before it', async () => {
    const taskId = await app.taskWith(2);
    for (let round = 1; round <= 20; round += 1) {
      client.subscribe(taskId).unsubscribe(taskId);
      await client.ends(taskId, round);
    }
    expect(client.frames).toEqual(
      Array.from({ length: 20 }, () => ({ type: 'SUBSCRIPTION_ENDED', taskId, reason: 'UNSUBSCRIBED' })),
    );
    client.subscribe(taskId);
    await eventually(() => client.seqsOf(taskId).length === 2);
  });

  it('ignores unsubscribes of what it does not follow', async () => {
    const taskId = await app.taskWith(2);
    client.subscribe(taskId);
    await client.received(2);
    client.unsubscribe(uuidv7()).unsubscribe('nonsense').unsubscribe(taskId).unsubscribe(taskId);
    expect(await client.ends(taskId)).toEqual(['UNSUBSCRIBED']);
    client.subscribe(taskId, { lastEventId: '2' });
    await eventually(() => client.of(taskId).length === 5);
    expect(client.frames.map(({ type }) => type)).toEqual([
      'SUBSCRIPTION_CONFIRMED',
      'TASK_STARTED',
      'TASK_PROGRESS',
      'SUBSCRIPTION_ENDED',
      'SUBSCRIPTION_CONFIRMED',
    ]);
  });

  it('refuses unknown and foreign tasks and bad cursors by frames, for good, and goes on', async () => {
    const [mine, foreign, unknown] = [await app.taskWith(2), await app.taskWith(2, 'grace'), uuidv7()];
    for (const taskId of [foreign, unknown, 'nonsense', 'x'.repeat(5_000)]) {
      client.subscribe(taskId);
      expect(await client.ends(taskId)).toEqual(['REFUSED TASK_NOT_FOUND']);
    }
    const cursors = ['x', '-1', '3-0', '999999999999999', '1-1'];
    for (const [index, lastEventId] of cursors.entries()) {
      client.subscribe(mine, { lastEventId });
      expect(await client.ends(mine, index + 1)).toEqual(oneTo(index + 1).map(() => 'REFUSED INVALID_CURSOR'));
    }
    expect(client.events).toEqual([]);
    client.subscribe(mine);
    await client.received(2);
    expect(client.closeCode).toBe(0);
  });

  it('refuses a task that it follows already, and goes on with it', async () => {
    const taskId = await app.taskWith(2);
    client.subscribe(taskId).subscribe(taskId).subscribe(taskId.toUpperCase());
    await client.received(2);
    expect(await client.ends(taskId)).toEqual(['REFUSED ALREADY_SUBSCRIBED']);
    expect(await client.ends(taskId.toUpperCase())).toEqual(['REFUSED ALREADY_SUBSCRIBED']);
    await app.complete(taskId);
    expect(await client.ends(taskId, 2)).toEqual(['REFUSED ALREADY_SUBSCRIBED', 'TERMINAL']);
    expect(client.seqsOf(taskId)).toEqual(oneTo(3));
  });

  it.each([
    ['lastEventId', 2],
    ['gap', 'replay'],
    ['ticket', 7],
    ['multiplex', 'yes'],
    ['multiplex', false],
    ['multiplex', undefined],
  ])('refuses a subscribe of which a field is wrong by a frame, for good, and goes on: %s %j', async (field, value) => {
    const [followed, asked] = [await app.taskWith(2), await app.taskWith(2)];
    client.subscribe(followed);
    await client.received(2);
    client.subscribe(asked, { [field]: value }).subscribe(followed, { [field]: value });
    expect(await client.ends(asked)).toEqual(['REFUSED INVALID_REQUEST']);
    expect(client.of(asked)[0]).toMatchObject({ error: { message: expect.stringMatching(`^${field} must be `) } });
    expect(await client.ends(followed)).toEqual(['REFUSED ALREADY_SUBSCRIBED']);
    client.subscribe(asked);
    await app.complete(followed);
    expect(await client.ends(followed, 2)).toEqual(['REFUSED ALREADY_SUBSCRIBED', 'TERMINAL']);
    await eventually(() => client.seqsOf(asked).length === 2);
    expect(client.closeCode).toBe(0);
  });

  it('takes an empty id for one of a task that does not exist', async () => {
    const taskId = await app.taskWith(2);
    client.subscribe(taskId).unsubscribe('').subscribe('');
    expect(await client.ends('')).toEqual(['REFUSED TASK_NOT_FOUND']);
    await app.complete(taskId);
    expect(await client.ends(taskId)).toEqual(['TERMINAL']);
    expect(client.frames.length).toBe(6);
    expect(client.closeCode).toBe(0);
    const first = await app.subscribe('');
    expect(await first.closed()).toEqual([1008, 'TASK_NOT_FOUND']);
  });

  it('closes 1008 for what is not a frame, whatever it follows', async () => {
    const taskId = await app.taskWith(2);
    const frames = [
      '',
      'unsubscribe',
      '[]',
      '{"action":"unsubscribe"}',
      { action: 'unsubscribe', taskId: 7 },
      { action: 'pause', taskId },
      { action: 'subscribe', multiplex: true },
      { action: 'subscribe', multiplex: true, taskId: null },
      Buffer.from(JSON.stringify({ action: 'unsubscribe', taskId })),
    ];
    for (const frame of frames) {
      const other = await open(app);
      other.subscribe(taskId);
      await other.received(2);
      other.send(frame);
      expect(await other.closed()).toEqual([1008, 'INVALID_REQUEST']);
    }
  });

  it('is decided by the first frame', async () => {
    const taskId = await app.taskWith(2);
    const plain = await app.subscribe(taskId);
    await plain.received(2);
    plain.send({ action: 'subscribe', taskId: await app.createTask(), multiplex: true });
    expect(await plain.closed()).toEqual([1008, 'INVALID_REQUEST']);
    const first = await open(app);
    first.unsubscribe(taskId);
    expect(await first.closed()).toEqual([1008, 'INVALID_REQUEST']);
    const declined = await app.subscribe(taskId, '2', { multiplex: false });
    await app.complete(taskId);
    expect(await declined.closed()).toEqual([1000, 'TASK_ENDED']);
    expect(declined.frames.map(({ type }) => type)).toEqual(['SUBSCRIPTION_CONFIRMED', 'TASK_COMPLETED']);
  });

  it.each([1, 2, 3])(
    'keeps every subscription whole under random subscribes and unsubscribes (seed %i)',
    async (seed) => {
      const random = new SeededRandom(seed);
      const tasks = await Promise.all(oneTo(6).map((no) => app.taskWith(no * 10)));
      const logs = new Map(tasks.map((taskId, index) => [taskId, (index + 1) * 10]));
      let asked = 0;
      for (let step = 0; step < 400; step += 1) {
        const taskId = random.pick(tasks);
        const length = logs.get(taskId) ?? 0;
        if (random.chance(0.45)) {
          client.subscribe(taskId, { lastEventId: String(random.int(0, length)) });
          asked += 1;
        } else if (random.chance(0.6)) client.unsubscribe(taskId);
        else logs.set(taskId, await app.progress(taskId, 1));
        if (random.chance(0.1)) await eventually(() => client.frames.length > 0);
      }
      await Promise.all(tasks.map((taskId) => app.complete(taskId)));
      const ends = () => client.frames.filter(({ type }) => type === 'SUBSCRIPTION_ENDED').length;
      await eventually(() => ends() === asked);
      for (const taskId of tasks) expect(brokenFrames(client.of(taskId))).toEqual([]);
    },
  );

  it('closes 1009 for a frame that is too large, as ever', async () => {
    client.subscribe(await app.taskWith(1), { ticket: 'y'.repeat(17 * 1024) });
    expect((await client.closed())[0]).toBe(1009);
  });

  it('lets go of everything when its client vanishes in the middle of many subscribes', async () => {
    const tasks = await Promise.all(Array.from({ length: 10 }, () => app.taskWith(2)));
    for (let round = 0; round < 10; round += 1) {
      const other = await open(app);
      for (const taskId of tasks) other.subscribe(taskId);
      await eventually(() => other.frames.length >= round * 3);
      other.socket.terminate();
    }
  });
});

describe('a multiplexed WebSocket under settings of its own', () => {
  it('follows as many tasks as it may and refuses one more by a frame', () =>
    withTuned({ webSocket: { maxSubscriptionsPerConnection: 2 } }, async (app) => {
      const [a, b, c] = [await app.taskWith(1), await app.taskWith(1), await app.taskWith(1)];
      const client = await open(app);
      client.subscribe(a).subscribe(b).subscribe(c);
      expect(await client.ends(c)).toEqual(['REFUSED SUBSCRIPTION_LIMIT']);
      await client.received(2);
      client.unsubscribe(a);
      await client.ends(a);
      client.subscribe(c);
      await eventually(() => client.seqsOf(c).length === 1);
      await app.complete(b);
      await client.ends(b);
      client.subscribe(a);
      await eventually(() => client.seqsOf(a).length === 2);
      client.socket.terminate();
    }));

  it('stays without a subscription and beats, and beats for no task', () =>
    withTuned(
      { webSocket: { subscribeTimeoutMs: 200 }, streams: { webSocket: { heartbeatIntervalMs: 50 } } },
      async (app) => {
        const taskId = await app.taskWith(2);
        const client = await open(app);
        client.subscribe(taskId);
        await eventually(() => client.heartbeats.length >= 3);
        await app.complete(taskId);
        await client.ends(taskId);
        const before = client.heartbeats.length;
        await eventually(() => client.heartbeats.length >= before + 8);
        expect(client.heartbeats).toEqual(client.heartbeats.map(() => ({ type: 'HEARTBEAT', live: true })));
        expect(client.closeCode).toBe(0);
        client.assertFrames();
        client.socket.terminate();
      },
    ));

  it('beats only while nothing else is sent', () =>
    withTuned({ streams: { webSocket: { heartbeatIntervalMs: 1_000 } } }, async (app) => {
      const taskId = await app.taskWith(2);
      const client = await open(app);
      client.subscribe(taskId);
      const until = performance.now() + 3_000;
      while (performance.now() < until) await app.progress(taskId, 1);
      await client.received(3);
      // A machine that stands still for a second may beat once.
      expect(client.heartbeats.length).toBeLessThanOrEqual(1);
      client.socket.terminate();
    }));

  it('closes 1013 when its client reads nothing for the stall time-out, which ends all its tasks', () =>
    withTuned({ streams: { webSocket: { stallTimeoutMs: 400 } } }, async (app) => {
      const [busy, quiet] = [await app.taskWith(2), await app.taskWith(2)];
      const stalled = (await open(app)).subscribe(busy).subscribe(quiet);
      await stalled.received(4);
      expect(app.leftovers().followers).toBe(2);
      stalled.socket.pause();
      const text = 'w'.repeat(60_000);
      for (let appended = 0; app.leftovers().followers === 2 && appended < 2_000; appended += 10) {
        await Promise.all(Array.from({ length: 10 }, () => app.progress(busy, 1, text)));
      }
      await eventually(() => app.leftovers().followers === 0);
      stalled.socket.resume();
      expect(await stalled.closed()).toEqual([1013, 'STALLED']);
      const had = stalled.seqsOf(busy);
      expect(had).toEqual(oneTo(had.length));
    }));

  it('does not listen to a client that asks and asks and does not read the answers', () =>
    withTuned({ streams: { webSocket: { stallTimeoutMs: 3_000 } } }, async (app) => {
      const client = (await open(app)).subscribe(await app.taskWith(1));
      await client.received(1);
      client.socket.pause();
      const name = 'n'.repeat(10_000);
      for (let asked = 0; asked < 20_000 && client.socket.bufferedAmount < 20_000_000; asked += 1) {
        client.subscribe(`${name}${asked}`);
      }
      await eventually(() => app.leftovers().followers === 0);
      expect(client.socket.bufferedAmount).toBeGreaterThan(10_000_000);
      client.socket.terminate();
    }));

  it('closes 1012 at shutdown, with and without a subscription', () =>
    withTuned({}, async (app) => {
      const taskId = await app.taskWith(2);
      const following = (await open(app)).subscribe(taskId);
      const idle = (await open(app)).subscribe(uuidv7());
      await following.received(2);
      await eventually(() => idle.frames.length === 1);
      await app.get(StreamDrain).drain();
      expect(await following.closed()).toEqual([1012, 'SERVICE_UNAVAILABLE']);
      expect(await idle.closed()).toEqual([1012, 'SERVICE_UNAVAILABLE']);
      expect(following.frames.map(({ type }) => type)).toEqual([
        'SUBSCRIPTION_CONFIRMED',
        'TASK_STARTED',
        'TASK_PROGRESS',
      ]);
    }));

  it('says that a subscribe may be tried again when the server fails, and takes it then', () =>
    withTuned({}, async (app) => {
      const taskId = await app.taskWith(2);
      const client = (await open(app)).subscribe(uuidv7());
      await eventually(() => client.frames.length === 1);
      const database = app.app.get<DataSource>(TASKBRIDGE_DATA_SOURCE, { strict: false });
      await database.query('alter table taskbridge_tasks rename to hidden');
      client.subscribe(taskId);
      expect(await client.ends(taskId)).toEqual(['ERROR INTERNAL_ERROR']);
      await database.query('alter table hidden rename to taskbridge_tasks');
      client.subscribe(taskId);
      await eventually(() => client.seqsOf(taskId).length === 2);
      client.assertFrames();
      client.socket.terminate();
    }));

  it('tells of gaps, and of tasks that retention deletes, per task', () =>
    withTuned(
      {
        streams: { backstopPollMs: 100 },
        retention: {
          pauseMs: 0,
          tasks: { olderThanMs: 24 * HOUR_MS },
          trim: { olderThanMs: HOUR_MS, keepEvents: 5, openTasks: true },
        },
      },
      async (app) => {
        const database = app.app.get<DataSource>(TASKBRIDGE_DATA_SOURCE, { strict: false });
        const [trimmed, deleted] = [await app.taskWith(20), await app.taskWith(2)];
        await makeOlder(database, trimmed, 2 * HOUR_MS);
        await app.get(TaskRetentionService).run();
        const client = (await open(app)).subscribe(trimmed, { gap: 'error' }).subscribe(deleted);
        await client.received(7);
        expect(client.of(trimmed)[1]).toMatchObject({ type: 'GAP', retainedFromEventId: '16-0' });
        expect(client.seqsOf(trimmed)).toEqual([16, 17, 18, 19, 20]);
        await database.query('delete from taskbridge_events where task_id = $1', [deleted]);
        await database.query('delete from taskbridge_tasks where task_id = $1', [deleted]);
        expect(await client.ends(deleted)).toEqual(['REFUSED TASK_NOT_FOUND']);
        await app.progress(trimmed, 1);
        await eventually(() => client.seqsOf(trimmed).at(-1) === 21);
        client.assertFrames();
        client.socket.terminate();
      },
    ));
});
