import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskEvent } from '@taskbridge/protocol';
import { lastValueFrom, toArray } from 'rxjs';
import type { DataSource } from 'typeorm';
import { TaskPollingService } from '../../lib/services/task-polling.service.js';
import { TaskRetentionService } from '../../lib/services/task-retention.service.js';
import { tableNames } from '../../lib/stores/table-names.js';
import { TaskRetentionStore } from '../../lib/stores/task-retention.store.js';
import { TaskEventStream } from '../../lib/streams/index.js';
import { TASKBRIDGE_DATA_SOURCE } from '../../lib/taskbridge.tokens.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { HttpClient } from '../support/http-client.js';
import { HOUR_MS, makeOlder } from '../support/retention.js';
import { NOTHING_LEFT, StreamApp } from '../support/stream-app.js';
import { oneTo, seqsOf } from '../support/stream-clients.js';
import { WireValidator } from '../support/wire-validator.js';

const EVENTS = '/api/v1/tasks/{taskId}/events';
const KEEP = 5;

const from = (first: number, last: number) => oneTo(last).slice(first - 1);

describe('a log that retention has cut', () => {
  let app: StreamApp;
  let dataSource: DataSource;
  let ada: HttpClient;
  let close: () => Promise<void>;
  const wire = new WireValidator();

  beforeAll(async () => {
    const { database, close: closeDatabase } = await openTestDatabase();
    app = await StreamApp.open(database, {
      taskBridge: {
        // Small pages, so that a reader that pauses has most of the log before it.
        streams: {
          backstopPollMs: 100,
          tailBytes: 64 * 1024,
          sse: { replayBatchSize: 10 },
          webSocket: { replayBatchSize: 10 },
        },
        retention: {
          pauseMs: 0,
          tasks: { olderThanMs: 24 * HOUR_MS },
          trim: { olderThanMs: HOUR_MS, keepEvents: KEEP, openTasks: true },
        },
      },
    });
    dataSource = app.app.get<DataSource>(TASKBRIDGE_DATA_SOURCE, { strict: false });
    ada = new HttpClient(app.origin, 'ada');
    close = async () => {
      await app.close();
      await closeDatabase();
    };
  });

  afterEach(async () => {
    await eventually(() => app.leftovers().followers === 0 && app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  afterAll(() => close());

  const retain = () => app.get(TaskRetentionService).run();

  /** An open task of `count` events of which retention has left the newest five. */
  async function trimmedTask(count: number): Promise<string> {
    const taskId = await app.taskWith(count);
    await makeOlder(dataSource, taskId, 2 * HOUR_MS);
    await retain();
    return taskId;
  }

  /** What is left for a reader that has had nothing. */
  const stored = async (taskId: string) => {
    const { body } = await ada.get(`/api/v1/tasks/${taskId}/events`);
    return seqsOf(body['events'] as TaskEvent[]);
  };

  describe('for clients that do not ask', () => {
    it('starts at the oldest stored event on every transport', async () => {
      const taskId = await trimmedTask(20);
      await app.complete(taskId);
      const { status, body } = await ada.get(`/api/v1/tasks/${taskId}/events?afterEventId=3&maxEvents=2`);
      expect([status, seqsOf(body['events'] as TaskEvent[]), body['nextAfterEventId'], body['hasMore']]).toEqual([
        200,
        [16, 17],
        '17-0',
        true,
      ]);
      const sse = await app.sse(taskId, { headers: { 'last-event-id': '7-0' } }).ended();
      const socket = await app.subscribe(taskId, '2-0');
      expect(await socket.closed()).toEqual([1000, 'TASK_ENDED']);
      const observed = await lastValueFrom(app.get(TaskEventStream).events$(taskId).pipe(toArray()));
      for (const seqs of [sse.seqs, socket.seqs, seqsOf(observed)]) expect(seqs).toEqual(from(16, 21));
      expect(socket.frames[0]).toMatchObject({ type: 'SUBSCRIPTION_CONFIRMED', replayStartedAfterEventId: '2-0' });
      expect(socket.frames.filter(({ type }) => type === 'GAP')).toEqual([]);
    });

    it('goes on live after the jump', async () => {
      const taskId = await trimmedTask(20);
      const sse = await app.sse(taskId).received(5);
      const socket = await (await app.subscribe(taskId)).received(5);
      await app.progress(taskId, 50);
      await app.complete(taskId);
      await sse.ended();
      await socket.closed();
      expect([sse.seqs, socket.seqs]).toEqual([from(16, 22), from(16, 22)]);
    });
  });

  describe('for clients that ask', () => {
    it('answers polls 410 with the snapshot, and serves cursors that it still reaches', async () => {
      const taskId = await trimmedTask(20);
      for (const cursor of ['', '0-0', '1', '14-0']) {
        const answer = await ada.get(`/api/v1/tasks/${taskId}/events?gap=error&afterEventId=${cursor}`);
        wire.body('error-envelope', 'GET', EVENTS, 410, answer.body);
        wire.frame('event-gap', answer.body['details']);
        expect([answer.status, answer.body['code']]).toEqual([410, 'EVENT_GAP']);
        expect(answer.body['details']).toMatchObject({
          retainedFromEventId: '16-0',
          snapshot: { taskId, status: 'RUNNING', lastEventId: '20-0', progress: { progress: 18 } },
        });
      }
      const served = await ada.get(`/api/v1/tasks/${taskId}/events?gap=error&afterEventId=15`);
      expect(seqsOf(served.body['events'] as TaskEvent[])).toEqual(from(16, 20));
      const idle = await ada.get(`/api/v1/tasks/${taskId}/events?gap=error&afterEventId=20&waitTimeoutMs=0`);
      expect([idle.status, idle.body['events']]).toEqual([200, []]);
    });

    it('answers SSE 410 with the snapshot before any 200, by header and by query', async () => {
      const taskId = await trimmedTask(20);
      const refused = [
        app.sse(taskId, { query: 'gap=error' }),
        app.sse(taskId, { query: 'gap=error&lastEventId=14' }),
        app.sse(taskId, { query: 'gap=error&lastEventId=18', headers: { 'last-event-id': '3-0' } }),
      ];
      for (const client of refused) {
        await client.ended();
        expect([client.status, client.headers['content-type']]).toEqual([410, 'application/json; charset=utf-8']);
        const body = JSON.parse(client.text) as { details: object };
        wire.body('error-envelope', 'GET', `${EVENTS}/stream`, 410, body);
        wire.frame('event-gap', body.details);
        expect(body).toMatchObject({ code: 'EVENT_GAP', details: { retainedFromEventId: '16-0' } });
      }
      const served = await app.sse(taskId, { query: 'gap=error&lastEventId=15' }).received(5);
      await app.complete(taskId);
      expect((await served.ended()).seqs).toEqual(from(16, 21));
    });

    it('sends a GAP frame between the confirmation and the events on WebSocket', async () => {
      const taskId = await trimmedTask(20);
      const socket = await (await app.subscribe(taskId, '3-0', { gap: 'error' })).received(5);
      const whole = await (await app.subscribe(taskId, '15-0', { gap: 'error' })).received(5);
      await app.complete(taskId);
      expect([await socket.closed(), await whole.closed()]).toEqual([
        [1000, 'TASK_ENDED'],
        [1000, 'TASK_ENDED'],
      ]);
      wire.frame('websocket-gap', socket.frames[1]);
      expect(socket.frames.slice(0, 2)).toMatchObject([
        { type: 'SUBSCRIPTION_CONFIRMED', replayStartedAfterEventId: '3-0' },
        { type: 'GAP', taskId, retainedFromEventId: '16-0', snapshot: { taskId, lastEventId: '20-0' } },
      ]);
      expect([socket.seqs, whole.seqs]).toEqual([from(16, 21), from(16, 21)]);
      expect(whole.frames.filter(({ type }) => type === 'GAP')).toEqual([]);
    });

    it('errs on the Observable', async () => {
      const taskId = await trimmedTask(20);
      const followed = lastValueFrom(app.get(TaskEventStream).events$(taskId, '3', { gap: 'error' }));
      await expect(followed).rejects.toMatchObject({
        code: 'EVENT_GAP',
        details: { retainedFromEventId: '16-0', snapshot: { lastEventId: '20-0' } },
      });
    });

    it('leads on from the snapshot without a gap', async () => {
      const taskId = await trimmedTask(20);
      await Promise.all(app.progressMany(taskId, 3));
      const { body } = await ada.get(`/api/v1/tasks/${taskId}/events?gap=error&afterEventId=2`);
      const { snapshot } = body['details'] as { snapshot: { lastEventId: string } };
      const client = app.sse(taskId, { query: `gap=error&lastEventId=${snapshot.lastEventId}` });
      await app.complete(taskId);
      expect([snapshot.lastEventId, (await client.ended()).seqs]).toEqual(['23-0', [24]]);
    });

    it('refuses any other wish', async () => {
      const taskId = await app.taskWith(2);
      const poll = await ada.get(`/api/v1/tasks/${taskId}/events?gap=skip`);
      const sse = await app.sse(taskId, { query: 'gap=' }).ended();
      const socket = await app.subscribe(taskId, null, { gap: true });
      expect([poll.status, poll.body['code']]).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
      expect(poll.body['details']).toMatchObject({ fields: [{ field: 'gap' }] });
      expect([sse.status, sse.json.code]).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
      expect(await socket.closed()).toEqual([1008, 'INVALID_REQUEST']);
    });
  });

  describe('beneath a reader in the middle of its replay', () => {
    const LARGE = 'x'.repeat(50_000);
    const COUNT = 400;

    /** Far more than sockets buffer, so that a reader that pauses holds the server in mid-replay. */
    async function longTask(): Promise<string> {
      const taskId = await app.createTask();
      await app.start(taskId);
      await Promise.all(oneTo(COUNT - 1).map(() => app.progress(taskId, 1, LARGE)));
      return taskId;
    }

    async function trim(taskId: string): Promise<void> {
      await makeOlder(dataSource, taskId, 2 * HOUR_MS);
      await retain();
      expect(await stored(taskId)).toEqual(from(COUNT - KEEP + 1, COUNT));
    }

    /** What came is 1 … n and then the five newest ones, with nothing in between. */
    function expectJump(seqs: readonly number[], last: number): number {
      const left = from(COUNT - KEEP + 1, last);
      const had = seqs.length - left.length;
      expect(seqs).toEqual([...oneTo(had), ...left]);
      expect(had).toBeLessThan(COUNT - KEEP);
      return had;
    }

    it('continues at the oldest stored event for clients that do not ask', async () => {
      const taskId = await longTask();
      const sse = await app.sse(taskId).received(1);
      sse.pause();
      const socket = await (await app.subscribe(taskId)).received(1);
      socket.socket.pause();
      await trim(taskId);
      await app.complete(taskId);
      sse.resume();
      socket.socket.resume();
      await sse.ended(30_000);
      expect(await socket.closed(30_000)).toEqual([1000, 'TASK_ENDED']);
      expectJump(sse.seqs, COUNT + 1);
      expectJump(socket.seqs, COUNT + 1);
      expect([sse.isBroken, socket.frames.some(({ type }) => type === 'GAP')]).toEqual([false, false]);
    });

    it('says so in a GAP frame on WebSocket, exactly where the events are missing', async () => {
      const taskId = await longTask();
      const socket = await (await app.subscribe(taskId, null, { gap: 'error' })).received(1);
      socket.socket.pause();
      await trim(taskId);
      await app.complete(taskId);
      socket.socket.resume();
      expect(await socket.closed(30_000)).toEqual([1000, 'TASK_ENDED']);
      const had = expectJump(socket.seqs, COUNT + 1);
      const gaps = socket.frames.filter(({ type }) => type === 'GAP');
      expect(gaps).toMatchObject([{ taskId, retainedFromEventId: `${COUNT - KEEP + 1}-0` }]);
      // As of the gap, which the server may have met before or after the last event.
      const asOf = expect.stringMatching(new RegExp(`^(${COUNT}|${COUNT + 1})-0$`));
      expect(gaps[0]).toMatchObject({ snapshot: { lastEventId: asOf } });
      wire.frame('websocket-gap', gaps[0]);
      expect(socket.frames.indexOf(gaps[0] ?? {})).toBe(1 + had);
    });

    it('ends an SSE stream that asked, which is then answered 410', async () => {
      const taskId = await longTask();
      const sse = await app.sse(taskId, { query: 'gap=error' }).received(1);
      sse.pause();
      await trim(taskId);
      sse.resume();
      await sse.ended(30_000);
      expect([sse.status, sse.isBroken]).toEqual([200, false]);
      expect(sse.seqs).toEqual(oneTo(sse.seqs.length));
      expect(sse.seqs.length).toBeLessThan(COUNT - KEEP);
      const again = app.sse(taskId, { query: 'gap=error', headers: { 'last-event-id': `${sse.seqs.length}-0` } });
      expect([(await again.ended()).status, again.json.code]).toEqual([410, 'EVENT_GAP']);
    });

    it('ends streams cleanly when the task itself is deleted', async () => {
      const taskId = await longTask();
      await app.complete(taskId);
      const sse = await app.sse(taskId).received(1);
      sse.pause();
      const socket = await (await app.subscribe(taskId, null, { gap: 'error' })).received(1);
      socket.socket.pause();
      await makeOlder(dataSource, taskId, 25 * HOUR_MS);
      await retain();
      sse.resume();
      socket.socket.resume();
      await sse.ended(30_000);
      expect([sse.isBroken, await socket.closed(30_000)]).toEqual([false, [1008, 'TASK_NOT_FOUND']]);
      expect(sse.seqs).toEqual(oneTo(sse.seqs.length));
      const again = app.sse(taskId, { headers: { 'last-event-id': `${sse.seqs.length}-0` } });
      expect([(await again.ended()).status, again.json.code]).toEqual([404, 'TASK_NOT_FOUND']);
    });
  });

  it('gives a follower that keeps up every event of a log that is trimmed all the time', async () => {
    const taskId = await app.createTask();
    await app.start(taskId);
    const sse = app.sse(taskId, { query: 'gap=error' });
    const socket = await app.subscribe(taskId, null, { gap: 'error' });
    await socket.received(1);
    await sse.received(1);
    const store = app.get(TaskRetentionStore);
    for (let round = 0; round < 30; round += 1) {
      await Promise.all(app.progressMany(taskId, 10));
      await socket.received(1 + 10 * (round + 1));
      await sse.received(1 + 10 * (round + 1));
      await store.trimOpen(taskId, { keepEvents: 1, olderThanMs: 0 }, (await store.now()) + HOUR_MS, 1_000);
      expect(await stored(taskId)).toEqual([1 + 10 * (round + 1)]);
    }
    await app.complete(taskId);
    await sse.ended();
    await socket.closed();
    expect([sse.seqs, socket.seqs]).toEqual([oneTo(302), oneTo(302)]);
  });

  describe('whose task is gone', () => {
    /** Deletes a task as if the news of its end had never come here: nobody was told, and the log is gone. */
    async function vanish(taskId: string): Promise<void> {
      const { tasks, events } = tableNames(dataSource);
      await dataSource.query(`delete from ${events} where task_id = $1`, [taskId]);
      await dataSource.query(`delete from ${tasks} where task_id = $1`, [taskId]);
    }

    it('ends followers and waiting polls that had nothing left to read', async () => {
      const taskId = await app.taskWith(3);
      const sse = await app.sse(taskId).received(3);
      const socket = await (await app.subscribe(taskId)).received(3);
      const observed = lastValueFrom(app.get(TaskEventStream).events$(taskId).pipe(toArray()));
      const gone = expect(observed).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
      const poll = ada.get(`/api/v1/tasks/${taskId}/events?afterEventId=3&waitTimeoutMs=30000`);
      await eventually(() => app.leftovers().drainables >= 4);
      await vanish(taskId);
      await sse.ended();
      await gone;
      expect([sse.isBroken, await socket.closed()]).toEqual([false, [1008, 'TASK_NOT_FOUND']]);
      expect(await poll).toMatchObject({ status: 404, body: { code: 'TASK_NOT_FOUND' } });
    });

    it('answers every route 404', async () => {
      const taskId = await app.taskWith(3);
      await app.complete(taskId);
      await makeOlder(dataSource, taskId, 25 * HOUR_MS);
      await retain();
      const url = `/api/v1/tasks/${taskId}`;
      const answers = await Promise.all([
        ada.get(url),
        ada.get(`${url}/events`),
        ada.get(`${url}/events?gap=error`),
        ada.post(`${url}/cancel`, {}),
        ada.post(`${url}/actions`, { clientActionId: 'a', suspendId: 'q', actionType: 'go' }),
      ]);
      for (const { status, body } of answers) expect([status, body['code']]).toEqual([404, 'TASK_NOT_FOUND']);
      expect((await app.sse(taskId).ended()).status).toBe(404);
      expect(await (await app.subscribe(taskId)).closed()).toEqual([1008, 'TASK_NOT_FOUND']);
      const query = { taskId, afterSeq: 0, waitTimeoutMs: 0, maxEvents: 10 };
      await expect(app.get(TaskPollingService).poll(query)).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    });
  });
});
