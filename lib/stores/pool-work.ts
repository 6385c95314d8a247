import type { Socket } from 'node:net';
import type { DataSource, EntityManager } from 'typeorm';
import type { RawQuery, RawResult } from './raw-query.js';

/** A checked-out connection of `pg`'s pool, as far as it is used here. */
export interface PoolClient {
  query(query: RawQuery): Promise<RawResult>;
  end(): Promise<void>;
  on(event: 'error', listener: () => void): unknown;
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
  private waiting = 0;

  constructor(private readonly dataSource: DataSource) {
    const { master } = dataSource.driver as unknown as { master?: Pool };
    // None where the DataSource was closed before anybody has used it: a boot that failed is shut down as well.
    if (master) listenToErrors(master);
  }

  get isIdle(): boolean {
    return this.inUse.size === 0 && this.waiting === 0;
  }

  /** One statement on a connection of the pool. */
  async query(query: RawQuery): Promise<RawResult> {
    const client = await this.checkOut(() => this.pool().connect());
    let failure: unknown;
    try {
      return await client.query(query);
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      this.inUse.delete(client);
      client.release(isServerError(failure) ? undefined : failure);
    }
  }

  /** A transaction on a connection of its own. */
  async transaction<T>(
    isolation: 'READ COMMITTED' | 'REPEATABLE READ',
    run: (manager: EntityManager) => Promise<T>,
  ): Promise<T> {
    const runner = this.dataSource.createQueryRunner();
    try {
      const client = await this.checkOut(() => runner.connect() as Promise<{ end(): Promise<void> }>);
      try {
        return await runner.manager.transaction(isolation, run);
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
    for (const client of this.pool()._clients ?? []) {
      if (client._connected === false) client.connection?.stream?.destroy();
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

  private pool(): Pool {
    return (this.dataSource.driver as unknown as { master: Pool }).master;
  }
}

/**
 * A connection that the pool has just handed out has no listener for an instant. The end of its session, when it
 * arrives together with what was waited for, would end the process; what is asked of it afterwards is rejected anyway.
 */
function listenToErrors(pool: Pool | undefined): void {
  const known = new WeakSet<PoolClient>();
  // A DataSource that has ended has no pool any more.
  pool?.on('acquire', (client) => {
    if (known.has(client)) return;
    known.add(client);
    client.on('error', () => undefined);
  });
}

/** After any other error the connection cannot be trusted. */
function isServerError(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error && error.severity === 'ERROR';
}
