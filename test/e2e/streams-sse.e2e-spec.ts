import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { FastifyInstance } from 'fastify';
import { connect } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import type { SseStreamSettings } from '../../lib/taskbridge.options.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { NOTHING_LEFT, StreamApp, withStreamApp } from '../support/stream-app.js';

/** All that a bare socket gets for a request, until the server ends the connection. */
function rawExchange(origin: string, head: string): Promise<string> {
  const { hostname, port } = new URL(origin);
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(head));
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => (text += chunk));
    socket.on('close', () => resolve(text));
    socket.on('error', reject);
  });
}

function getRequest(path: string): string {
  return `GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ada\r\n\r\n`;
}

describe('the SSE stream of a task', () => {
  let close: () => Promise<void>;
  let app: StreamApp;

  beforeAll(async () => {
    const { database, close: closeDatabase } = await openTestDatabase();
    app = await StreamApp.open(database, {
      prepare: (_app, fastify) => {
        fastify.addHook('onRequest', async (_request, reply) => {
          void reply.header('access-control-allow-origin', 'https://app.example');
          void reply.header('cache-control', 'max-age=60');
        });
      },
    });
    close = async () => {
      await app.close();
      await closeDatabase();
    };
  });

  afterAll(() => close());

  it('replays the log, goes on live and ends after the terminal event', async () => {
    const taskId = await app.taskWith(3);
    const client = await app.sse(taskId).received(3);
    await app.progress(taskId, 50, 'grüße\n"✓"');
    await client.received(4);
    await app.complete(taskId, { rows: 2 });
    await client.ended();
    expect(client.seqs).toEqual([1, 2, 3, 4, 5]);
    expect(client.events.map(({ type }) => type)).toEqual([
      'TASK_STARTED',
      'TASK_PROGRESS',
      'TASK_PROGRESS',
      'TASK_PROGRESS',
      'TASK_COMPLETED',
    ]);
    expect(client.events[3]?.payload).toEqual({ progress: 50, message: 'grüße\n"✓"' });
    expect(client.events[4]).toMatchObject({ taskId, eventId: '5-0', payload: { result: { rows: 2 } } });
    expect([client.isEnded, client.isBroken]).toEqual([true, false]);
  });

  it('sends its headers and the first byte at once, and keeps the headers of the host', async () => {
    const taskId = await app.createTask();
    const client = await app.sse(taskId).answered();
    await eventually(() => client.text.length > 0);
    expect(client.status).toBe(200);
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': 'https://app.example',
      connection: 'close',
    });
    expect(client.headers['transfer-encoding']).toBeUndefined();
    expect(client.messages).toEqual([{ id: undefined, data: undefined, comment: true }]);
    client.disconnect();
  });

  it('continues after the Last-Event-ID header, which beats the query', async () => {
    const taskId = await app.taskWith(6);
    const byHeader = app.sse(taskId, { headers: { 'last-event-id': '4-0' }, query: 'lastEventId=1-0' });
    const byQuery = app.sse(taskId, { query: 'lastEventId=5' });
    const fromStart = ['0', '0-0', ''].map((cursor) => app.sse(taskId, { query: `lastEventId=${cursor}` }));
    await byHeader.received(2);
    await byQuery.received(1);
    for (const client of fromStart) await client.received(6);
    await app.complete(taskId);
    for (const client of [byHeader, byQuery, ...fromStart]) await client.ended();
    expect([byHeader.seqs, byQuery.seqs]).toEqual([
      [5, 6, 7],
      [6, 7],
    ]);
    for (const client of fromStart) expect(client.seqs).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('refuses before the stream begins, in the order of auth, task and cursor', async () => {
    const taskId = await app.taskWith(2);
    const foreign = await app.taskWith(2, 'grace');
    const refusals = [
      [app.sse(taskId, { headers: { authorization: 'none' }, query: 'lastEventId=x' }), 401, 'AUTHENTICATION_ERROR'],
      [app.sse(uuidv7(), { query: 'lastEventId=x' }), 404, 'TASK_NOT_FOUND'],
      [app.sse(foreign, { query: 'lastEventId=x' }), 404, 'TASK_NOT_FOUND'],
      [app.sse('nonsense'), 404, 'TASK_NOT_FOUND'],
      [app.sse(taskId, { query: 'lastEventId=x' }), 400, 'INVALID_CURSOR'],
      [app.sse(taskId, { query: 'lastEventId=-1' }), 400, 'INVALID_CURSOR'],
      [app.sse(taskId, { query: 'lastEventId=1&lastEventId=2' }), 400, 'INVALID_CURSOR'],
      [app.sse(taskId, { headers: { 'last-event-id': 'x' }, query: 'lastEventId=1' }), 400, 'INVALID_CURSOR'],
      [app.sse(taskId, { query: 'lastEventId=3-0' }), 400, 'INVALID_CURSOR'],
      [app.sse(taskId, { query: 'lastEventId=999999999999999' }), 400, 'INVALID_CURSOR'],
    ] as const;
    for (const [client, status, code] of refusals) {
      await client.ended();
      expect([client.status, client.json.code]).toEqual([status, code]);
      expect(client.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(client.headers['access-control-allow-origin']).toBe('https://app.example');
    }
  });

  it('answers 204 with the cursor at the terminal event, and replays an ended task otherwise', async () => {
    const taskId = await app.taskWith(2);
    await app.complete(taskId);
    const atEnd = await app.sse(taskId, { headers: { 'last-event-id': '3-0' } }).ended();
    const replay = await app.sse(taskId).ended();
    expect([atEnd.status, atEnd.text]).toEqual([204, '']);
    expect(replay.seqs).toEqual([1, 2, 3]);
  });

  it('answers HEAD without hanging', async () => {
    const taskId = await app.taskWith(2);
    const client = await app.sse(taskId, { method: 'HEAD' }).ended();
    expect([client.status, client.text]).toEqual([200, '']);
    expect(client.headers['content-type']).toBe('text/event-stream; charset=utf-8');
  });

  it('serves HTTP/1.0 and pipelined HTTP/1.1 clients', async () => {
    const taskId = await app.taskWith(2);
    await app.complete(taskId);
    const path = new URL(app.streamUrl(taskId)).pathname;
    const old = await rawExchange(app.origin, `GET ${path} HTTP/1.0\r\nauthorization: Bearer ada\r\n\r\n`);
    expect(old).toMatch(/^HTTP\/1\.[01] 200 OK\r\n/);
    expect(old.match(/^id: /gm)).toHaveLength(3);
    const pipelined = await rawExchange(app.origin, getRequest('/health') + getRequest(path));
    expect(pipelined.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
    expect(pipelined.match(/^id: /gm)).toHaveLength(3);
  });

  it('replays a long log in order, in many pages', async () => {
    const taskId = await app.taskWith(3_000);
    await app.complete(taskId);
    const client = await app.sse(taskId).ended();
    expect(client.seqs).toEqual(Array.from({ length: 3_001 }, (_, index) => index + 1));
  });

  it('delivers events that are larger than a notification', async () => {
    const taskId = await app.createTask();
    const client = await app.sse(taskId).answered();
    await app.start(taskId);
    const text = 'z'.repeat(50_000);
    for (let index = 0; index < 20; index += 1) await app.progress(taskId, index, text);
    await app.complete(taskId);
    await client.ended();
    expect(client.events).toHaveLength(22);
    expect(client.events[20]?.payload).toEqual({ progress: 19, message: text });
  });

  it('keeps nothing of clients that leave before their stream begins', async () => {
    const taskId = await app.taskWith(2);
    for (let round = 0; round < 100; round += 1) {
      const client = app.sse(taskId);
      await new Promise((resolve) => setTimeout(resolve, round % 10));
      client.disconnect();
    }
    const last = await app.sse(taskId).received(2);
    last.disconnect();
    await eventually(() => app.leftovers().followers === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  it('lets go of everything when clients disconnect, again and again', async () => {
    const taskId = await app.taskWith(2);
    for (let round = 0; round < 30; round += 1) {
      const clients = Array.from({ length: 5 }, () => app.sse(taskId));
      for (const client of clients) await client.received(2);
      for (const client of clients) client.disconnect();
    }
    await eventually(() => app.leftovers().followers === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
    expect(app.wakeUpSubscribers).toBeLessThanOrEqual(baselineSubscribers);
  });

  let baselineSubscribers = 0;
  beforeAll(() => {
    baselineSubscribers = app.wakeUpSubscribers;
  });
});

function withTask(
  sse: Partial<SseStreamSettings>,
  work: (app: StreamApp, taskId: string) => Promise<void>,
): Promise<void> {
  return withStreamApp({ taskBridge: { streams: { sse } } }, async (app) => work(app, await app.taskWith(2)));
}

it("goes through what a host has put around the response's write", async () => {
  const prepare = (_app: unknown, fastify: FastifyInstance): void => {
    fastify.addHook('onRequest', async (_request, { raw }) => {
      const write = raw.write.bind(raw) as (chunk: string, ...rest: unknown[]) => boolean;
      const masking = (chunk: unknown, ...rest: unknown[]) =>
        write(String(chunk).replaceAll('secret', '******'), ...rest);
      Object.assign(raw, { write: masking });
    });
  };
  await withStreamApp({ prepare }, async (app) => {
    const taskId = await app.createTask();
    const client = app.sse(taskId);
    await client.answered();
    await app.start(taskId);
    await app.progress(taskId, 1, 'a secret');
    await app.complete(taskId);
    await client.ended();
    expect(client.text).toContain('a ******');
    expect(client.text).not.toContain('secret');
  });
});

describe('an idle SSE stream', () => {
  it('beats with a comment and a data frame that carries the cursor but no id', async () => {
    await withTask({ heartbeatIntervalMs: 60 }, async (app, taskId) => {
      const client = app.sse(taskId);
      await eventually(() => client.heartbeats.length >= 3);
      const fresh = app.sse(await app.createTask());
      await eventually(() => fresh.heartbeats.length >= 1);
      expect(client.seqs).toEqual([1, 2]);
      expect(client.heartbeats[2]).toEqual({
        type: 'HEARTBEAT',
        taskId,
        eventId: '2-0',
        createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        payload: { live: true },
      });
      expect(fresh.heartbeats[0]).toMatchObject({ eventId: '0-0' });
      expect(client.messages.filter(({ comment }) => comment).length).toBeGreaterThanOrEqual(3);
      client.disconnect();
      fresh.disconnect();
    });
  });

  it('beats only in the ways that are switched on, after a preamble of the wanted size', async () => {
    await withTask({ heartbeatIntervalMs: 40, jsonHeartbeat: false, preambleBytes: 2_048 }, async (app, taskId) => {
      const client = app.sse(taskId);
      await eventually(() => client.messages.filter(({ comment }) => comment).length >= 4);
      expect(client.heartbeats).toEqual([]);
      expect(client.text.indexOf('\n')).toBeGreaterThanOrEqual(2_048);
      client.disconnect();
    });
  });

  it('is closed when its client reads nothing for the stall time-out, while others go on', async () => {
    await withTask({ stallTimeoutMs: 400 }, async (app, taskId) => {
      const stalled = await app.sse(taskId).received(2);
      const reading = await app.sse(taskId).received(2);
      stalled.pause();
      const text = 'w'.repeat(60_000);
      let appended = 2;
      while (app.leftovers().followers === 2 && appended < 2_000) {
        await Promise.all(Array.from({ length: 10 }, () => app.progress(taskId, 1, text)));
        appended += 10;
      }
      await eventually(() => app.leftovers().followers === 1);
      await reading.received(appended, 30_000);
      await app.complete(taskId);
      await reading.ended();
      expect(reading.seqs).toEqual(Array.from({ length: appended + 1 }, (_, index) => index + 1));
      stalled.resume();
      await stalled.ended();
      expect(stalled.isBroken || stalled.seqs.length < reading.seqs.length).toBe(true);
    });
  });
});
