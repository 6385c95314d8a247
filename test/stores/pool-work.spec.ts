import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { DataSource } from 'typeorm';
import { poolWork } from '../../lib/stores/pool-work.js';
import { rawRows } from '../../lib/stores/raw-query.js';
import { inTransaction } from '../../lib/stores/transactions.js';
import { createTestDatabase, createTestDataSource, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';

/** Keeps back what the server says at the end of a log-in until the server has ended the session, as a slow network may. */
class HoldingProxy {
  holding = false;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(port: number) {
    this.server = createServer((client) => {
      const upstream = connect(port, '127.0.0.1');
      const held: Buffer[] = [];
      for (const socket of [client, upstream]) {
        this.sockets.add(socket);
        socket.on('error', () => undefined);
      }
      client.pipe(upstream);
      upstream.on('data', (chunk: Buffer) => {
        if (held.length > 0 || (this.holding && chunk.includes('server_version'))) held.push(chunk);
        else client.write(chunk);
      });
      upstream.on('end', () => client.end(Buffer.concat(held)));
    });
  }

  async open(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return String((this.server.address() as AddressInfo).port);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

describe("The host's pool", () => {
  let database: TestDatabase;
  let proxy: HoldingProxy;
  let dataSource: DataSource;
  let admin: DataSource;

  beforeEach(async () => {
    database = await createTestDatabase();
    admin = await createTestDataSource(database);
    const url = new URL(database.url);
    proxy = new HoldingProxy(Number(url.port));
    url.port = await proxy.open();
    dataSource = await createTestDataSource({ ...database, url: url.href }, { applicationName: 'held' });
  });
  afterEach(async () => {
    await dataSource.destroy();
    await admin.destroy();
    await proxy.close();
    await database.drop();
  });

  /** Ends the session that has just logged in, and so lets everything that it was sent arrive at once. */
  async function endHeldSession(known: number): Promise<void> {
    const sessions = `select pid from pg_stat_activity where application_name = 'held' order by backend_start desc`;
    let pids: { pid: number }[] = [];
    await eventually(async () => (pids = await admin.query(sessions)).length > known);
    await admin.query('select pg_terminate_backend($1)', [pids[0]?.pid]);
  }

  it.each([
    ['a statement', () => rawRows(dataSource, 'select 1', [])],
    ['a transaction', () => inTransaction(dataSource, undefined, (manager) => rawRows(manager, 'select 1', []))],
  ])(
    'does not end the process when the server ends a session that is just being handed out for %s',
    async (_, work) => {
      const busy = dataSource.createQueryRunner();
      await busy.connect();
      proxy.holding = true;
      const outcome = work().then(
        () => 'done',
        (error: { message: string }) => error.message,
      );
      await endHeldSession(1);
      expect(await outcome).toMatch(/terminat|queryable|closed|ended/i);
      proxy.holding = false;
      await busy.release();
      expect(await rawRows(dataSource, 'select 1', [])).toEqual([[1]]);
    },
  );

  it('has nothing in use when its DataSource has ended before anybody used it', async () => {
    const ended = await createTestDataSource(database);
    await ended.destroy();
    expect(poolWork(ended).isIdle).toBe(true);
  });
});
