import type { Socket } from 'node:net';
import type { DataSource, EntityManager } from 'typeorm';
import { isLostConflict, isReadOnlyServer, keepsSession, sqlState } from './outage.js';
import type { RawQuery, RawResult } from './raw-query.js';

/** A checked-out connection of `pg`'s pool, as far as it is used here. */
export interface PoolClient {
  /** Of the server's session, as the client was told. */
  readonly processID?: number | null;
  query(query: RawQuery): Promise<RawResult>;
  end(): Promise<void>;
  on(event: 'error', listener: () => void): unknown;
  /** After an error, or when it was ended, the pool does not use it again. */
  release(error?: unknown): void;
}

/** What of `pg`'s pool is used to find connections that are being made. */
interface Connecting {
  _connected?: boolean;
  connection?: { stream?: Socket };
}

interface Pool {
  connect(): Promise<PoolClient>;
  on(event: 'acquire', listener: (client: PoolClient) => void): unknown;
  _clients?: readonly Connecting[];
}

/** How often a statement that lost a conflict is sent again. */
const REPEATS = 5;
/** `on` on a standby, and where the host or an operator has made the database read-only. */
const IS_READ_ONLY = `select current_setting('transaction_read_only')`;

/** Differs from what the client was told behind a pooler such as PgBouncer. */
const BACKEND = 'select pg_backend_pid()';
/** What was prepared is not there, or there already, or its tables have changed: nothing was executed. */
const UNPREPARED = ['26000', '42P05', '0A000'];

const work = new WeakMap<DataSource, PoolWork>();

/** The library's work on this DataSource's pool. */
export function poolWork(dataSource: DataSource): PoolWork {
  const known = work.get(dataSource) ?? new PoolWork(dataSource);
  work.set(dataSource, known);
  return known;
}

/**
 * Knows which connections of the host's pool the library uses at the moment. A shutdown whose time is over ends them,
 * because a connection without an answer would keep the pool, and so the process, from ending.
 */
export class PoolWork {
  private readonly inUse = new Set<{ end(): Promise<void> }>();
  /** Whether no pooler stands between: what is prepared then stays. */
  private readonly ownSessions = new WeakMap<PoolClient, boolean>();
  private waiting = 0;

  constructor(private readonly dataSource: DataSource) {}

  get isIdle(): boolean {
    return this.inUse.size === 0 && this.waiting === 0;
  }

  /** One statement on a connection of the pool; sent again when it lost a conflict, so that it may run in a transaction. */
  query(query: RawQuery): Promise<RawResult> {
    if (query.name === undefined) return this.withClient((client) => runDespiteConflicts(client, query));
    return this.withClient((client) => this.runPrepared(client, query));
  }

  /** Whether the server takes no writes. The session that has found that out is not used again. */
  async isReadOnly(): Promise<boolean> {
    return this.withClient(async (client) => {
      const { rows } = await client.query(plain(IS_READ_ONLY));
      if (rows[0]?.[0] !== 'on') return false;
      void client.end();
      return true;
    });
  }

  /** A transaction on a connection of its own. */
  async transaction<T>(
    isolation: 'READ COMMITTED' | 'REPEATABLE READ',
    run: (manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    this.pool();
    const runner = this.dataSource.createQueryRunner();
    try {
      const client = await this.checkOut(() => runner.connect() as Promise<{ end(): Promise<void> }>);
      try {
        return await runner.manager.transaction(isolation, run);
      } catch (error) {
        if (isReadOnlyServer(error)) void client.end();
        throw error;
      } finally {
        this.inUse.delete(client);
      }
    } finally {
      await runner.release();
    }
  }

  /** Ends the connections that are in use now: what waits for them is rejected. */
  interrupt(): void {
    for (const client of this.inUse) void client.end();
    if (this.waiting === 0) return;
    for (const client of this.master?._clients ?? []) {
      if (client._connected === false) client.connection?.stream?.destroy();
    }
  }

  /** By name where the session is the connection's own, as text otherwise. */
  private async runPrepared(client: PoolClient, query: RawQuery): Promise<RawResult> {
    const { name: _, ...asText } = query;
    const ownsSession = this.ownSessions.get(client) ?? (await this.checkSession(client));
    if (!ownsSession) return runDespiteConflicts(client, asText);
    try {
      return await runDespiteConflicts(client, query);
    } catch (error) {
      if (!UNPREPARED.includes(sqlState(error) ?? '')) throw error;
      this.ownSessions.set(client, false);
      return runDespiteConflicts(client, asText);
    }
  }

  private async checkSession(client: PoolClient): Promise<boolean> {
    const { rows } = await client.query(plain(BACKEND));
    const ownsSession = rows[0]?.[0] === String(client.processID);
    this.ownSessions.set(client, ownsSession);
    return ownsSession;
  }

  private async withClient<T>(run: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.checkOut(() => this.pool().connect());
    let failure: unknown;
    try {
      return await run(client);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.inUse.delete(client);
      client.release(keepsSession(failure) ? undefined : failure);
    }
  }

  private async checkOut<Client extends { end(): Promise<void> }>(connect: () => Promise<Client>): Promise<Client> {
    this.waiting += 1;
    try {
      const client = await connect();
      this.inUse.add(client);
      return client;
    } finally {
      this.waiting -= 1;
    }
  }

  /** Of a DataSource that was destroyed there is none. */
  private get master(): Pool | undefined {
    return (this.dataSource.driver as unknown as { master?: Pool }).master;
  }

  private pool(): Pool {
    const pool = this.master;
    if (pool === undefined) throw new Error('Cannot use a pool after calling end: the DataSource was destroyed');
    listenToErrors(pool);
    return pool;
  }
}

const pools = new WeakSet<Pool>();

/**
 * A connection that the pool has just handed out has no listener for an instant. The end of its session, when it
 * arrives together with what was waited for, would end the process; what is asked of it afterwards is rejected anyway.
 */
function listenToErrors(pool: Pool): void {
  if (pools.has(pool)) return;
  pools.add(pool);
  const known = new WeakSet<PoolClient>();
  pool.on('acquire', (client) => {
    if (known.has(client)) return;
    known.add(client);
    client.on('error', () => undefined);
  });
}

/**
 * Where the host's default isolation is stricter, a statement fails because of a row that another one has changed. In
 * READ COMMITTED it does not, which leaves deadlocks.
 */
async function runDespiteConflicts(client: PoolClient, query: RawQuery): Promise<RawResult> {
  try {
    return await client.query(query);
  } catch (error) {
    if (!isLostConflict(error)) throw error;
  }
  for (let repeat = 1; ; repeat += 1) {
    try {
      await client.query(plain('begin isolation level read committed'));
      const result = await client.query(query);
      await client.query(plain('commit'));
      return result;
    } catch (error) {
      if (keepsSession(error)) await client.query(plain('rollback'));
      if (!isLostConflict(error) || repeat === REPEATS) throw error;
    }
  }
}

function plain(text: string): RawQuery {
  return { text, values: [], rowMode: 'array', types: { getTypeParser: () => (value) => value } };
}
