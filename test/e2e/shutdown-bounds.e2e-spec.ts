import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { FaultProxy } from '../faults/support/fault-proxy.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { type ForkedHost, forkHost } from '../support/fork-host.js';
import { type HeldRow, holdRow } from '../support/held-row.js';
import { HttpClient } from '../support/http-client.js';

const TIMEOUT_MS = 8_000;
/** For a busy machine to notice its timers and to end the process. */
const SLACK_MS = 3_000;
const OPTIONS = { shutdown: { timeoutMs: TIMEOUT_MS, drainWindowMs: 100, runTimeoutMs: 1_000 } };

/** A connection on which a test writes its requests byte by byte. */
interface Raw {
  socket: Socket;
  /** What has come back. */
  readonly text: string;
}

describe('a shutdown', () => {
  let database: TestDatabase;
  let proxy: FaultProxy | undefined;
  let held: HeldRow | undefined;
  const hosts: ForkedHost[] = [];

  beforeEach(async () => {
    database = await createTestDatabase();
  });

  afterEach(async () => {
    await held?.release();
    await Promise.all(hosts.splice(0).map((host) => host.end('SIGKILL')));
    await proxy?.close();
    proxy = undefined;
    await database.drop();
  });

  const start = async (url = database.url): Promise<ForkedHost> => {
    const host = await forkHost({ url }, OPTIONS);
    hosts.push(host);
    return host;
  };

  /** Milliseconds from the signal to the end of the process. */
  const endMs = async (host: ForkedHost): Promise<number> => {
    const toldAt = performance.now();
    expect(await host.end('SIGTERM')).toBe('SIGTERM');
    return performance.now() - toldAt;
  };

  const query = async (sql: string): Promise<unknown[]> => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<Record<string, unknown>>(sql);
    await client.end();
    return rows;
  };

  const raw = async ({ url }: ForkedHost, firstBytes: string): Promise<Raw> => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => (text += String(chunk))).on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(firstBytes);
    return {
      socket,
      get text() {
        return text;
      },
    };
  };

  const running = async (host: ForkedHost): Promise<string> => {
    const ada = new HttpClient(host.url, 'ada');
    const taskId = await ada.create('ticks', { ticks: 100, delayMs: 20 });
    await ada.until(taskId, ({ status }) => status === 'RUNNING');
    return taskId;
  };

  it('ends in time while somebody holds the row of a running task, which runs elsewhere later', async () => {
    const host = await start();
    const taskId = await running(host);
    held = await holdRow(database.url, taskId);
    expect(await endMs(host)).toBeLessThan(TIMEOUT_MS + SLACK_MS);

    await held.release();
    const { url } = await start();
    const { status } = await new HttpClient(url, 'ada').until(taskId, (task) => task.status === 'COMPLETED');
    expect(status).toBe('COMPLETED');
  }, 60_000);

  it('answers requests that wait for a held row, on connections that close', async () => {
    const host = await start();
    const ada = new HttpClient(host.url, 'ada');
    const taskId = await ada.create('approval');
    const { openSuspensions } = await ada.until(taskId, (task) => task.openSuspensions.length === 1);
    await eventually(
      async () => (await query('select 1 from taskbridge_tasks where suspended_at is not null')).length === 1,
    );
    held = await holdRow(database.url, taskId);
    const suspendId = openSuspensions[0]?.suspendId;
    const action = { clientActionId: uuidv7(), suspendId, actionType: 'reject' };
    const path = `/api/v1/tasks/${taskId}`;
    const answers = [ada.post(`${path}/actions`, action), ada.post(`${path}/cancel`)];
    const waits = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`;
    await eventually(async () => (await query(waits)).length > 0);

    expect(await endMs(host)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    for (const { status, headers } of await Promise.all(answers)) {
      expect([status, headers.get('retry-after'), headers.get('connection')]).toEqual([503, '1', 'close']);
    }
  }, 60_000);

  it('ends in time while the database does not answer, and leases expire by themselves', async () => {
    const target = new URL(database.url);
    proxy = await FaultProxy.open(() => Number(target.port));
    const { port } = proxy;
    const host = await start(Object.assign(new URL(database.url), { host: `127.0.0.1:${port}` }).href);
    const taskId = await running(host);
    const ada = new HttpClient(host.url, 'ada');
    const frozen = proxy.freeze(TIMEOUT_MS + SLACK_MS, 'reset');
    const reads = Array.from({ length: 12 }, () => ada.get(`/api/v1/tasks/${taskId}`).catch(() => 'cut off'));
    expect(await endMs(host)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
    await Promise.all(reads);
    const [lease] = await query(
      `select p.expires_at < clock_timestamp() + interval '1 minute' as ends from taskbridge_tasks t
      join taskbridge_processes p on p.process_id = t.lease_owner`,
    );
    expect(lease).toEqual({ ends: true });
    await frozen;
  }, 60_000);

  it('waits for an upload that ends within its time, and closes the connection after the answer', async () => {
    const host = await start();
    const boundary = 'x';
    const part = (name: string, value: string): string =>
      `--${boundary}\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
    const file = `--${boundary}\r\ncontent-disposition: form-data; name="attachment"; filename="a.txt"\r\ncontent-type: text/plain\r\n\r\n`;
    const form = part('clientRequestId', uuidv7()) + part('taskType', 'ticks') + file;
    const rest = `some text\r\n--${boundary}--\r\n`;
    const head =
      `POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ada\r\n` +
      `content-type: multipart/form-data; boundary=${boundary}\r\ncontent-length: ${form.length + rest.length}\r\n\r\n`;
    const upload = await raw(host, head + form);
    const ended = endMs(host);
    await eventually(async () => (await fetch(`${host.url}/ready`).catch(() => undefined))?.status !== 200);
    upload.socket.write(rest);
    await once(upload.socket, 'close');
    expect(upload.text).toMatch(/^HTTP\/1\.1 201 /);
    expect(upload.text.toLowerCase()).toContain('\r\nconnection: close\r\n');
    expect(await ended).toBeLessThan(TIMEOUT_MS * 0.7);
  }, 60_000);

  it('ends in time whatever clients have left half-sent', async () => {
    const host = await start();
    const post = 'POST /api/v1/tasks HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ada\r\n';
    await raw(host, `${post}content-type: application/json\r\ncontent-length: 100\r\n\r\n{"taskType":`);
    await raw(host, `${post}content-type: multipart/form-data; boundary=x\r\ncontent-length: 100\r\n\r\n--x\r\n`);
    await raw(host, 'GET /api/v1/ta');
    await raw(host, '');
    expect(await endMs(host)).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  }, 60_000);

  it('closes idle connections at once', async () => {
    const host = await start();
    const idle = await raw(host, 'GET /health HTTP/1.1\r\nhost: x\r\n\r\n');
    await eventually(() => idle.text.includes('200 OK'));
    expect(idle.text.toLowerCase()).toContain('connection: keep-alive');
    expect(await endMs(host)).toBeLessThan(TIMEOUT_MS / 2);
  }, 60_000);
});
