import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { WebSocketGateway } from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { connect } from 'node:net';
import { v7 as uuidv7 } from 'uuid';
import { WebSocket } from 'ws';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { NOTHING_LEFT, StreamApp, type StreamAppOptions, withStreamApp } from '../support/stream-app.js';
import { WebSocketClient } from '../support/websocket-client.js';

const tuned = (taskBridge: TaskBridgeOptions): StreamAppOptions => ({ taskBridge });

describe('the WebSocket of a task', () => {
  let database: { url: string };
  let closeDatabase: () => Promise<void>;
  let app: StreamApp;

  beforeAll(async () => {
    ({ database, close: closeDatabase } = await openTestDatabase());
    app = await StreamApp.open(database);
  });

  afterEach(async () => {
    await eventually(() => app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  afterAll(async () => {
    await app.close();
    await closeDatabase();
  });

  it('confirms, replays, goes on live and closes 1000 after the terminal event', async () => {
    const taskId = await app.taskWith(3);
    const client = await app.subscribe(taskId);
    await client.received(3);
    await app.progress(taskId, 50, 'grüße "✓"');
    await app.progress(taskId, 51, 'm'.repeat(200));
    await app.progress(taskId, 52, 'l'.repeat(65_000));
    await app.complete(taskId, { rows: 2 });
    expect(await client.closed()).toEqual([1000, 'TASK_ENDED']);
    expect(client.frames[0]).toEqual({
      type: 'SUBSCRIPTION_CONFIRMED',
      taskId,
      replayStartedAfterEventId: null,
      live: true,
    });
    expect(client.frames.length).toBe(8);
    expect(client.seqs).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(client.events[3]?.payload).toEqual({ progress: 50, message: 'grüße "✓"' });
    expect(client.events[5]?.payload).toEqual({ progress: 52, message: 'l'.repeat(65_000) });
  });

  it('continues after the given cursor and echoes it', async () => {
    const taskId = await app.taskWith(5);
    const cursors = [null, '', '0', '0-0', '3', '3-0', '5-0'];
    const clients = await Promise.all(cursors.map((cursor) => app.subscribe(taskId, cursor)));
    for (const client of clients) await eventually(() => client.frames.length > 0);
    await app.complete(taskId);
    for (const client of clients) expect((await client.closed())[0]).toBe(1000);
    const echoes = clients.map(({ frames }) => frames[0]?.['replayStartedAfterEventId']);
    expect(echoes).toEqual([null, null, '0', '0-0', '3', '3-0', '5-0']);
    const all = [1, 2, 3, 4, 5, 6];
    expect(clients.map(({ seqs }) => seqs)).toEqual([all, all, all, all, [4, 5, 6], [4, 5, 6], [6]]);
  });

  it('confirms and closes 1000 with the cursor at the terminal event', async () => {
    const taskId = await app.taskWith(2);
    await app.complete(taskId);
    const client = await app.subscribe(taskId, '3-0');
    expect((await client.closed())[0]).toBe(1000);
    expect(client.frames).toEqual([
      { type: 'SUBSCRIPTION_CONFIRMED', taskId, replayStartedAfterEventId: '3-0', live: true },
    ]);
  });

  it('closes 1008 for an unknown and a foreign task alike', async () => {
    const foreign = await app.taskWith(2, 'grace');
    const unknown = uuidv7();
    for (const taskId of [foreign, unknown, 'nonsense', 'x'.repeat(5_000)]) {
      const client = await app.subscribe(taskId);
      expect(await client.closed()).toEqual([1008, 'TASK_NOT_FOUND']);
      expect(client.frames).toEqual([]);
    }
  });

  it('closes 1008 for a malformed or future cursor', async () => {
    const taskId = await app.taskWith(2);
    for (const cursor of ['x', '-1', '3-0', '999999999999999', '1-1']) {
      expect(await (await app.subscribe(taskId, cursor)).closed()).toEqual([1008, 'INVALID_CURSOR']);
    }
  });

  it('closes 1008 for anything but one subscribe frame', async () => {
    const taskId = await app.taskWith(2);
    const frames = [
      '',
      'subscribe',
      '[]',
      'null',
      '7',
      JSON.stringify({ action: 'subscribe' }),
      JSON.stringify({ action: 'subscribe', taskId: 7 }),
      JSON.stringify({ action: 'subscribe', taskId, lastEventId: 2 }),
      JSON.stringify({ action: 'unsubscribe', taskId }),
      Buffer.from(JSON.stringify({ action: 'subscribe', taskId })),
    ];
    for (const frame of frames) {
      const client = app.webSocket();
      await client.opened;
      client.send(frame);
      expect(await client.closed()).toEqual([1008, 'INVALID_REQUEST']);
    }
    const twice = await app.subscribe(taskId);
    twice.send({ action: 'subscribe', taskId: await app.createTask() });
    expect(await twice.closed()).toEqual([1008, 'INVALID_REQUEST']);
  });

  it.each([
    ['gap', 'skip'],
    ['lastEventId', 2],
    ['multiplex', 'yes'],
    ['ticket', 7],
  ])('names the field of a first frame that is wrong: %s', async (field, value) => {
    const taskId = await app.taskWith(2);
    const client = await app.subscribe(taskId, null, { multiplex: true, [field]: value });
    expect(await client.closed()).toEqual([1008, 'INVALID_REQUEST']);
    expect(client.closeReason).toContain(`: ${field} must be `);
  });

  it('closes 1009 for a frame that is too large', async () => {
    const client = app.webSocket();
    await client.opened;
    client.send('y'.repeat(17 * 1024));
    expect((await client.closed())[0]).toBe(1009);
  });

  it('answers an upgrade without credentials with 401 in the envelope of HTTP', async () => {
    const { status, headers, body } = await app.webSocket({}).refusedWith();
    expect([status, headers['content-type']]).toEqual([401, 'application/json; charset=utf-8']);
    expect(JSON.parse(body)).toMatchObject({ code: 'AUTHENTICATION_ERROR', timestamp: expect.any(String) });
  });

  it('lets browsers of its own host in, and answers foreign origins with 403', async () => {
    const authorization = 'Bearer ada';
    const own = app.webSocket({ authorization, origin: app.origin });
    await own.opened;
    own.socket.close();
    for (const origin of ['https://evil.example', 'null', app.origin.replace(/\d+$/, '1')]) {
      const { status, body } = await app.webSocket({ authorization, origin }).refusedWith();
      expect([status, JSON.parse(body).code]).toEqual([403, 'TASK_OWNERSHIP_ERROR']);
    }
  });

  it('survives clients that vanish while they subscribe', async () => {
    const taskId = await app.taskWith(2);
    for (let round = 0; round < 50; round += 1) {
      const client = app.webSocket();
      await client.opened;
      client.send({ action: 'subscribe', taskId });
      if (round % 2 === 0) client.socket.terminate();
      else client.socket.close();
    }
  });

  it('lets go of everything when clients disconnect, again and again', async () => {
    const taskId = await app.taskWith(2);
    for (let round = 0; round < 30; round += 1) {
      const clients = await Promise.all(Array.from({ length: 5 }, () => app.subscribe(taskId)));
      for (const client of clients) await client.received(2);
      for (const client of clients) client.socket.terminate();
    }
  });

  it('does not wait for ever for the answer to its close frame', async () => {
    const taskId = await app.taskWith(1);
    await app.complete(taskId);
    const { hostname, port } = new URL(app.origin);
    const socket = connect(Number(port), hostname);
    const upgrade = [
      'GET /api/v1/tasks/ws HTTP/1.1',
      'Host: x',
      'Authorization: Bearer ada',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    ];
    socket.on('error', () => undefined);
    let received = '';
    socket.on('data', (data) => (received += data.toString('latin1')));
    socket.write(`${upgrade.join('\r\n')}\r\n\r\n`);
    await eventually(() => received.includes('101 Switching Protocols'));
    const payload = JSON.stringify({ action: 'subscribe', taskId });
    // Masked with zeros, which leaves the text as it is.
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]));
    await eventually(() => received.includes('TASK_ENDED'));
    expect(app.leftovers().drainables).toBe(1);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await closed;
  });
});

describe('a WebSocket under settings of its own', () => {
  it('closes 1013 when the client never subscribes', async () => {
    await withStreamApp(tuned({ webSocket: { subscribeTimeoutMs: 100 } }), async (app) => {
      const client = app.webSocket();
      expect(await client.closed()).toEqual([1013, 'SUBSCRIBE_TIMEOUT']);
      expect(app.leftovers().ticking).toBe(0);
    });
  });

  it('beats while idle', async () => {
    await withStreamApp(tuned({ streams: { webSocket: { heartbeatIntervalMs: 50 } } }), async (app) => {
      const taskId = await app.taskWith(2);
      const client = await app.subscribe(taskId);
      await eventually(() => client.heartbeats.length >= 3);
      expect(client.heartbeats[0]).toEqual({ type: 'HEARTBEAT', taskId, live: true });
      client.socket.terminate();
    });
  });

  it('closes 1013 when its client reads nothing for the stall time-out, while others go on', async () => {
    await withStreamApp(tuned({ streams: { webSocket: { stallTimeoutMs: 400 } } }), async (app) => {
      const taskId = await app.taskWith(2);
      const stalled = await app.subscribe(taskId);
      const reading = await app.subscribe(taskId);
      await Promise.all([stalled.received(2), reading.received(2)]);
      stalled.socket.pause();
      const text = 'w'.repeat(60_000);
      let appended = 2;
      while (app.leftovers().followers === 2 && appended < 2_000) {
        await Promise.all(Array.from({ length: 10 }, () => app.progress(taskId, 1, text)));
        appended += 10;
      }
      await eventually(() => app.leftovers().followers === 1);
      await reading.received(appended, 30_000);
      await app.complete(taskId);
      expect((await reading.closed())[0]).toBe(1000);
      expect(reading.seqs).toEqual(Array.from({ length: appended + 1 }, (_, index) => index + 1));
      stalled.socket.resume();
      expect(await stalled.closed()).toEqual([1013, 'STALLED']);
      expect(stalled.seqs).toEqual(Array.from({ length: stalled.seqs.length }, (_, index) => index + 1));
    });
  });

  it('asks its allow-list for the origin of a browser', async () => {
    await withStreamApp(tuned({ webSocket: { allowedOrigins: ['https://app.example'] } }), async (app) => {
      const authorization = 'Bearer ada';
      const allowed = app.webSocket({ authorization, origin: 'https://app.example' });
      await allowed.opened;
      allowed.socket.terminate();
      expect((await app.webSocket({ authorization, origin: app.origin }).refusedWith()).status).toBe(403);
    });
  });

  it('leaves a host with a ws adapter its own gateways', async () => {
    class HostGateway {
      handleConnection(client: WebSocket): void {
        client.send('{"hello":"host"}');
      }
    }
    WebSocketGateway({ path: '/host' })(HostGateway);
    const options: StreamAppOptions = {
      providers: [HostGateway],
      prepare: (app) => void app.useWebSocketAdapter(new WsAdapter(app)),
    };
    await withStreamApp(options, async (app) => {
      const host = new WebSocketClient(`${app.origin.replace('http', 'ws')}/host`, {});
      await eventually(() => host.frames.length === 1);
      expect(host.frames).toEqual([{ hello: 'host' }]);
      host.socket.terminate();
      const taskId = await app.taskWith(2);
      const client = await app.subscribe(taskId);
      await client.received(2);
      client.socket.terminate();
    });
  });

  it('refuses to boot beside an adapter of another protocol, naming the option', async () => {
    const { database, close } = await openTestDatabase();
    const ioServer = { on: () => undefined, close: () => undefined };
    const ioAdapter = {
      create: () => ioServer,
      bindClientConnect: () => undefined,
      bindMessageHandlers: () => undefined,
      close: () => undefined,
      dispose: async () => undefined,
    };
    const boot = StreamApp.open(database, { prepare: (app) => void app.useWebSocketAdapter(ioAdapter) });
    await expect(boot).rejects.toThrow('webSocket: false');
    await close();
  });
});
