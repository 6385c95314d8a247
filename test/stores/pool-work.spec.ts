import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { DataSource } from 'typeorm';
import { DatabaseReadinessProbe } from '../../lib/observability/database-readiness.probe.js';
import { isOutage, sqlState } from '../../lib/stores/outage.js';
import { poolWork } from '../../lib/stores/pool-work.js';
import { rawRows } from '../../lib/stores/raw-query.js';
import { inTransaction } from '../../lib/stores/transactions.js';
import {
  createTestDatabase,
  createTestDataSource,
  openTestDatabase,
  type OpenTestDatabase,
  type TestDatabase,
} from '../support/database.js';
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

  const sessions = async (): Promise<number[]> =>
    (await admin.query<{ pid: number }[]>(`select pid from pg_stat_activity where application_name = 'held'`)).map(
      ({ pid }) => pid,
    );

  /** Ends the session that logs in beside the known ones, and so lets everything that it was sent arrive at once. */
  async function endHeldSession(known: readonly number[]): Promise<void> {
    let pid: number | undefined;
    await eventually(async () => (pid = (await sessions()).find((one) => !known.includes(one))) !== undefined);
    await admin.query('select pg_terminate_backend($1)', [pid]);
  }

  it.each([
    ['a statement', () => rawRows(dataSource, 'select 1', [])],
    ['a transaction', () => inTransaction(dataSource, undefined, (manager) => rawRows(manager, 'select 1', []))],
  ])(
    'does not end the process when the server ends a session that is just being handed out for %s',
    async (_, work) => {
      const busy = dataSource.createQueryRunner();
      await busy.connect();
      const known = await sessions();
      proxy.holding = true;
      const outcome = work().then(
        () => 'done',
        (error: { message: string }) => error.message,
      );
      await endHeldSession(known);
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

const INSERT = 'insert into kept values (1)';

describe("A session of the host's pool", () => {
  let opened: OpenTestDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    opened = await openTestDatabase();
    await opened.dataSource.query('create table kept (n integer)');
  });
  afterAll(() => opened.close());

  afterEach(async () => {
    if (dataSource.isInitialized) await dataSource.destroy();
  });

  async function onlySession(): Promise<void> {
    const { url } = opened.database;
    dataSource = await new DataSource({ type: 'postgres', url, poolSize: 1, applicationName: 'only' }).initialize();
  }

  async function setReadOnly(value: string): Promise<void> {
    const name = new URL(opened.database.url).pathname.slice(1);
    await opened.dataSource.query(`alter database "${name}" ${value}`);
  }

  it.each([
    ['a statement', () => rawRows(dataSource, INSERT, []).then(() => 'written', sqlState)],
    [
      'a transaction',
      () =>
        inTransaction(dataSource, undefined, (manager) => rawRows(manager, INSERT, [])).then(() => 'written', sqlState),
    ],
    ['the readiness probe', () => new DatabaseReadinessProbe(dataSource).check().then(([check]) => check?.detail)],
  ])('is not used again when %s has found its server read-only', async (_, use) => {
    await setReadOnly('set default_transaction_read_only = on');
    await onlySession();
    await setReadOnly('reset default_transaction_read_only');
    expect(['25006', 'read-only']).toContain(await use());
    expect(await rawRows(dataSource, INSERT, [])).toEqual([]);
    expect(['written', undefined]).toContain(await use());
  });

  it('is kept when a statement or a transaction was refused for another reason', async () => {
    await onlySession();
    const pid = await rawRows(dataSource, 'select pg_backend_pid()', []);
    expect(await rawRows(dataSource, 'select 1 / 0', []).catch(sqlState)).toBe('22012');
    const refused = inTransaction(dataSource, undefined, (manager) => rawRows(manager, 'select 1 / 0', []));
    expect(await refused.catch(sqlState)).toBe('22012');
    expect(await rawRows(dataSource, 'select pg_backend_pid()', [])).toEqual(pid);
  });

  it('repeats a statement that was the victim of a deadlock', async () => {
    await onlySession();
    const other = opened.dataSource.createQueryRunner();
    await other.startTransaction();
    // The other one does not look for deadlocks, so that it is never the victim.
    await other.query(`set local deadlock_timeout = '5min'`);
    await other.query('select pg_advisory_xact_lock(2)');
    const both = `select 'done' from (select pg_advisory_xact_lock(1)) a, (select pg_advisory_xact_lock(2)) b`;
    const repeated = rawRows(dataSource, both, []);
    const waits = `select 1 from pg_stat_activity where application_name = 'only' and wait_event_type = 'Lock'`;
    await eventually(async () => (await opened.dataSource.query<unknown[]>(waits)).length === 1);
    await other.query('select pg_advisory_xact_lock(1)');
    await other.commitTransaction();
    await other.release();
    expect(await repeated).toEqual([['done']]);
  });

  it.each(['repeatable read', 'serializable'])(
    'repeats a statement whose row has changed meanwhile, where %s is the default',
    async (isolation) => {
      await opened.dataSource.query('create table if not exists counted (n integer)');
      await opened.dataSource.query('truncate counted');
      await opened.dataSource.query('insert into counted values (0)');
      const extra = { options: `-c default_transaction_isolation=${isolation.replace(' ', '\\ ')}` };
      const { url } = opened.database;
      dataSource = await new DataSource({ type: 'postgres', url, extra }).initialize();
      const increments = Array.from({ length: 50 }, () => rawRows(dataSource, 'update counted set n = n + 1', []));
      await Promise.all(increments);
      expect(await rawRows(dataSource, 'select n from counted', [])).toEqual([[50]]);
      const left = await rawRows(dataSource, `select current_setting('transaction_isolation')`, []);
      expect(left).toEqual([[isolation]]);
    },
  );

  it('cannot be had, as in an outage, from a DataSource that was destroyed before anybody used it', async () => {
    await onlySession();
    await dataSource.destroy();
    expect(poolWork(dataSource).isIdle).toBe(true);
    poolWork(dataSource).interrupt();
    for (const use of [
      () => rawRows(dataSource, 'select 1', []),
      () => inTransaction(dataSource, undefined, () => Promise.resolve()),
    ]) {
      expect(isOutage(await use().catch((error: unknown) => error))).toBe(true);
    }
  });
});
