import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, type Socket } from 'node:net';
import { openTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { NOTHING_LEFT, StreamApp, withStreamApp } from '../support/stream-app.js';
import { AuthContextResolver } from '../../lib/security/auth-context.js';

/** A bare connection that keeps what it receives. */
class RawClient {
  text = '';
  isClosed = false;
  readonly socket: Socket;

  constructor(origin: string) {
    const { hostname, port } = new URL(origin);
    this.socket = connect(Number(port), hostname);
    this.socket.on('data', (data) => (this.text += data.toString('latin1')));
    this.socket.on('close', () => (this.isClosed = true));
    this.socket.on('error', () => undefined);
  }

  /** Writes requests in one packet. */
  send(...requests: string[]): this {
    this.socket.write(requests.join(''), 'latin1');
    return this;
  }

  /** Statuses of the answers so far. */
  get statuses(): number[] {
    return [...this.text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  }
}

function get(path: string, ...headers: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: x', 'Authorization: Bearer ada', ...headers, '', ''].join('\r\n');
}

const webSocketHeaders = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
];
const h2cHeaders = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAA'];

/** Masked with zeros, which leaves the text as it is. */
function clientFrame(opcode: number, text = ''): Buffer {
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

describe('streams under abuse', () => {
  let database: { url: string };
  let closeDatabase: () => Promise<void>;
  let app: StreamApp;

  beforeAll(async () => {
    ({ database, close: closeDatabase } = await openTestDatabase());
    app = await StreamApp.open(database, {
      prepare: (_app, fastify) => {
        fastify.all('/host', async ({ method, body }) => `${method} ${JSON.stringify(body ?? null)}`);
      },
    });
  });

  afterEach(async () => {
    await eventually(() => app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  afterAll(async () => {
    await app.close();
    await closeDatabase();
  });

  const streamPath = (taskId: string) => `/api/v1/tasks/${taskId}/events/stream`;
  const pollPath = (taskId: string) => `/api/v1/tasks/${taskId}/events?waitTimeoutMs=60000`;

  it('open one SSE stream for a connection, however many it pipelines, and let go of it', async () => {
    const taskId = await app.taskWith(2);
    const client = new RawClient(app.origin);
    client.send(...Array.from({ length: 30 }, () => get(streamPath(taskId))));
    await eventually(() => client.text.includes('id: 2-0'));
    expect(app.leftovers()).toMatchObject({ followers: 1, drainables: 1 });
    client.socket.destroy();
    await eventually(() => app.leftovers().followers === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  it('begin a pipelined SSE stream when the answers before it are out', async () => {
    const taskId = await app.taskWith(2);
    const client = new RawClient(app.origin).send(get(`/api/v1/tasks/${taskId}`), get(streamPath(taskId)));
    await eventually(() => client.text.includes('id: 2-0'));
    await app.complete(taskId);
    await eventually(() => client.isClosed);
    expect(client.statuses).toEqual([200, 200]);
    expect([...client.text.matchAll(/^id: (\d+)-0$/gm)].map(([, seq]) => Number(seq))).toEqual([1, 2, 3]);
  });

  it('leave a pipelined SSE stream unopened whose client goes before its turn', async () => {
    const taskId = await app.createTask();
    const client = new RawClient(app.origin).send(get(pollPath(taskId)), get(streamPath(taskId)));
    await eventually(() => app.leftovers().drainables === 1);
    client.socket.destroy();
    await eventually(() => app.leftovers().drainables === 0);
    expect(app.leftovers()).toEqual(NOTHING_LEFT);
  });

  it('answer a long poll that is queued behind another without waiting', async () => {
    const taskId = await app.createTask();
    const client = new RawClient(app.origin).send(...Array.from({ length: 20 }, () => get(pollPath(taskId))));
    await eventually(() => app.leftovers().drainables === 1);
    await app.start(taskId);
    await eventually(() => client.statuses.length === 20);
    expect(client.statuses).toEqual(Array.from({ length: 20 }, () => 200));
    client.socket.destroy();
  });

  it('cut off a WebSocket that sends pings and reads no pongs, before its pongs take memory', async () => {
    const client = new RawClient(app.origin).send(get('/api/v1/tasks/ws', ...webSocketHeaders));
    await eventually(() => client.statuses[0] === 101);
    const taskId = await app.taskWith(2);
    client.socket.write(clientFrame(1, JSON.stringify({ action: 'subscribe', taskId })));
    await eventually(() => client.text.includes('2-0'));
    client.socket.pause();
    const pings = Buffer.concat(Array.from({ length: 500 }, () => clientFrame(9, 'p'.repeat(125))));
    const before = process.memoryUsage().rss;
    let written = 0;
    while (app.leftovers().drainables > 0 && written < 200_000_000) {
      client.socket.write(pings);
      written += pings.length;
      await eventually(() => client.socket.writableLength === 0 || app.leftovers().drainables === 0);
    }
    expect(app.leftovers().followers).toBe(0);
    // What the kernel takes in either direction, and little more.
    expect(written).toBeLessThan(50_000_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
    client.socket.destroy();
  });

  it('answer every ping of a WebSocket that reads', async () => {
    const client = new RawClient(app.origin).send(get('/api/v1/tasks/ws', ...webSocketHeaders));
    await eventually(() => client.statuses[0] === 101);
    for (let ping = 1; ping <= 500; ping += 1) {
      client.socket.write(clientFrame(9, `<${ping}>`));
      if (ping % 100 === 0) await eventually(() => client.text.includes(`<${ping}>`));
    }
    expect(client.text.match(/<\d+>/g)).toEqual(Array.from({ length: 500 }, (_, index) => `<${index + 1}>`));
    client.socket.destroy();
  });

  it('leave HTTP routes to clients that offer to upgrade to another protocol', async () => {
    const client = new RawClient(app.origin).send(get('/host', ...h2cHeaders));
    await eventually(() => client.text.includes('GET null'));
    const body = '{"some":"body"}';
    const headers = [...h2cHeaders, 'Content-Type: application/json', `Content-Length: ${body.length}`];
    client.send(get('/host', ...headers).replace('GET', 'POST'), body);
    await eventually(() => client.text.includes(`POST ${body}`));
    client.send(get('/host', 'Connection: close'));
    await eventually(() => client.isClosed);
    expect(client.statuses).toEqual([200, 200, 200]);
  });

  it('stream to clients that offer to upgrade to another protocol', async () => {
    const taskId = await app.taskWith(2);
    const client = new RawClient(app.origin).send(get(streamPath(taskId), ...h2cHeaders));
    await eventually(() => client.text.includes('id: 2-0'));
    client.socket.destroy();
  });

  it('still upgrade a connection that has been served over HTTP', async () => {
    const client = new RawClient(app.origin).send(get('/host', ...h2cHeaders));
    await eventually(() => client.text.includes('GET null'));
    client.send(get('/api/v1/tasks/ws', ...webSocketHeaders));
    await eventually(() => client.statuses.length === 2);
    expect(client.statuses).toEqual([200, 101]);
    client.socket.destroy();
  });

  it('answer a WebSocket upgrade on an unknown path with 404', async () => {
    for (const path of ['/api/v1/tasks/wss', '/host', '//', '/api/v1/tasks']) {
      const client = new RawClient(app.origin).send(get(path, ...webSocketHeaders));
      await eventually(() => client.isClosed);
      expect(client.statuses).toEqual([404]);
      expect(client.text).toContain('\r\n\r\nNo WebSocket is served at this path\n');
    }
  });
});

describe('a client that leaves while the guards are asked', () => {
  it('is waited for by neither a long poll nor an SSE stream', async () => {
    let asked = 0;
    let answer: () => void = () => undefined;
    const left = new Promise<void>((resolve) => (answer = resolve));
    class SlowNames extends AuthContextResolver {
      async resolve() {
        asked += 1;
        await left;
        return { subject: 'ada', scopes: [], appId: null, attributes: {} };
      }
    }
    let closed = 0;
    const prepare = (
      _app: unknown,
      fastify: { server: { on(name: string, take: (socket: Socket) => void): unknown } },
    ) => void fastify.server.on('connection', (socket) => socket.once('close', () => (closed += 1)));
    await withStreamApp({ taskBridge: { authContextResolver: SlowNames }, prepare }, async (app) => {
      const taskId = await app.createTask();
      const paths = [`/api/v1/tasks/${taskId}/events?waitTimeoutMs=60000`, `/api/v1/tasks/${taskId}/events/stream`];
      const clients = paths.map((path) => new RawClient(app.origin).send(get(path)));
      await eventually(() => asked === 2);
      for (const client of clients) client.socket.destroy();
      await eventually(() => closed === 2);
      answer();
      // Each of these takes at least as long as what the clients that left still cost.
      for (let request = 0; request < 20; request += 1) {
        const [client, stays] = [new RawClient(app.origin), get(`/api/v1/tasks/${taskId}`, 'Connection: close')];
        client.send(stays);
        await eventually(() => client.isClosed);
        expect(client.statuses).toEqual([200]);
      }
      await eventually(() => app.leftovers().drainables === 0, 1_000);
      expect(app.leftovers()).toEqual(NOTHING_LEFT);
    });
  });
});
