import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskBridgeOptions } from '../../../lib/taskbridge.options.js';
import { type BootOptions, FaultHost } from './fault-host.js';
import { FaultPostgres } from './fault-postgres.js';
import { FaultProxy } from './fault-proxy.js';

/** Short times, so that a round of faults and their recovery takes seconds. */
export const FAST: TaskBridgeOptions = {
  execution: { leaseMs: 1_500, heartbeatMs: 400, cancelGraceMs: 1_500 },
  reconciliation: {
    intervalMs: 200,
    claimMs: 2_500,
    dispatchTimeoutMs: 1_500,
    maxAttempts: 25,
    backoffMs: 100,
    maxBackoffMs: 1_000,
  },
  streams: {
    backstopPollMs: 1_000,
    deafPollMs: 300,
    sse: { heartbeatIntervalMs: 500 },
    webSocket: { heartbeatIntervalMs: 500 },
  },
  shutdown: { drainWindowMs: 300, runTimeoutMs: 1_000 },
};

const SHUTDOWN_LIMIT_MS = 20_000;
const BOOT_ATTEMPTS = 10;

/** One place for an instance: its network stays, its processes come and go. */
export class HostSlot {
  /** Where it was last seen; a client cannot know that nobody listens there any more. */
  url = '';
  host: FaultHost | undefined;
  clockOffsetMs = 0;
  /** What instances had written that ended by themselves, since the last `takeDeaths`. */
  private deaths: string[] = [];
  private queue: Promise<unknown> = Promise.resolve();

  constructor(
    readonly name: string,
    readonly proxy: FaultProxy,
    private readonly database: () => string,
    private readonly spares: SpareHosts,
  ) {}

  /** Kills the instance, or asks it to leave, and starts another in its place after the pause. */
  replace(signal: 'SIGKILL' | 'SIGTERM', pauseMs: number): Promise<void> {
    return this.exclusively(async () => {
      await this.end(signal);
      await sleep(pauseMs);
      await this.boot();
    });
  }

  pause(forMs: number): Promise<void> {
    return this.exclusively(async () => {
      this.host?.pause();
      await sleep(forMs);
      this.host?.wake();
    });
  }

  skewClock(byMs: number): Promise<void> {
    return this.exclusively(async () => {
      this.clockOffsetMs = byMs;
      await this.host?.skewClock(byMs);
    });
  }

  /** Resolves when nothing is being done to it any more and it runs. */
  settled(): Promise<void> {
    return this.exclusively(async () => {
      if (this.host === undefined) await this.boot();
    });
  }

  /** An instance must not end before it is told to, whatever happens to its surroundings. */
  takeDeaths(): string[] {
    const { deaths } = this;
    this.deaths = [];
    return deaths.map((output) => `Instance ${this.name} ended by itself:\n${output}`);
  }

  async close(): Promise<void> {
    const { host } = this;
    this.host = undefined;
    await host?.end('SIGKILL');
  }

  private async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const { host } = this;
    if (host === undefined) return;
    this.host = undefined;
    const ended = host.end(signal);
    const inTime = await Promise.race([ended.then(() => true), sleep(SHUTDOWN_LIMIT_MS, false, { ref: false })]);
    if (!inTime) await host.end('SIGKILL');
    if (!inTime) throw new Error(`${this.name} did not stop within ${SHUTDOWN_LIMIT_MS} ms:\n${host.output}`);
  }

  private async boot(): Promise<void> {
    const { clockOffsetMs } = this;
    const options = { ...FAST, instanceName: this.name };
    const host = await this.spares.boot(() => ({ databaseUrl: this.database(), clockOffsetMs, options }));
    this.host = host;
    this.url = host.url;
    void this.watch(host);
  }

  private async watch(host: FaultHost): Promise<void> {
    const end = await host.exited;
    if (this.host !== host) return;
    this.host = undefined;
    this.deaths.push(`${end}\n${host.output}`);
  }

  private exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }
}

/** Keeps one process ready whose code is loaded, because that takes longer than all the rest of a boot. */
export class SpareHosts {
  private spare: FaultHost | undefined;

  take(): FaultHost {
    const host = this.spare ?? FaultHost.prepare();
    this.spare = FaultHost.prepare();
    return host;
  }

  /** Repeats a boot that the database's absence ended, as whoever looks after processes does. */
  async boot(options: () => BootOptions): Promise<FaultHost> {
    for (let attempt = 1; ; attempt += 1) {
      const host = this.take();
      try {
        return await host.boot(options());
      } catch (error) {
        await host.end('SIGKILL');
        if (attempt === BOOT_ATTEMPTS) throw error;
      }
    }
  }

  async close(): Promise<void> {
    await this.spare?.end('SIGKILL');
  }
}

/** Two instances, their networks and their database. */
export class FaultCluster {
  private constructor(
    readonly postgres: FaultPostgres,
    readonly slots: readonly HostSlot[],
    private readonly spares: SpareHosts,
  ) {}

  static async open(): Promise<FaultCluster> {
    const postgres = await FaultPostgres.open();
    await postgres.query('create database faults');
    const spares = new SpareHosts();
    const slots: HostSlot[] = [];
    for (const name of ['first', 'second']) {
      const proxy = await FaultProxy.open(() => postgres.port);
      const database = (): string => {
        const url = new URL(postgres.url('faults'));
        url.port = String(proxy.port);
        return url.href;
      };
      slots.push(new HostSlot(name, proxy, database, spares));
    }
    const cluster = new FaultCluster(postgres, slots, spares);
    await cluster.healed();
    return cluster;
  }

  /** Rows of a statement on the database, past the proxies; waits while the server is away. */
  rows<T extends object>(text: string, values: unknown[] = []): Promise<T[]> {
    return this.postgres.query<T & Record<string, unknown>>(text, values, 'faults');
  }

  async healed(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.settled()));
  }

  async close(): Promise<void> {
    await Promise.all(this.slots.map((slot) => slot.close()));
    await this.spares.close();
    await Promise.all(this.slots.map(({ proxy }) => proxy.close()));
    await this.postgres.close();
  }
}
