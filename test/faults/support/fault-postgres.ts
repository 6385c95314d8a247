import { type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { ChildCalls } from './child-calls.js';
import { forkTypeScript } from './fork-typescript.js';

const QUERY_TRIES = 60;

/** A PostgreSQL server of the suite's own, with `fsync` on, that tests stop, kill and start again. */
export class FaultPostgres {
  private address = '';
  /** One disturbance at a time: a server cannot be killed while it starts. */
  private queue: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly child: ChildProcess,
    private readonly calls: ChildCalls,
  ) {}

  static async open(): Promise<FaultPostgres> {
    const child = forkTypeScript('test/faults/support/postgres-process.ts');
    const ready = once(child.process, 'message');
    await Promise.race([ready, child.exited.then(() => Promise.reject(new Error(child.output())))]);
    const server = new FaultPostgres(child.process, new ChildCalls(child.process));
    await server.start();
    return server;
  }

  /** Of the server itself, without a proxy; the port changes with each start. */
  url(database = 'postgres'): string {
    const url = new URL(this.address);
    url.pathname = `/${database}`;
    return url.href;
  }

  get port(): number {
    return Number(new URL(this.address).port);
  }

  /** Kills every process of the server and starts it again after the pause, which includes its recovery. */
  killAndStart(pauseMs: number): Promise<void> {
    return this.exclusively(async () => {
      await this.calls.call('kill');
      await sleep(pauseMs);
      await this.start();
    });
  }

  /** `pg_ctl stop -m fast` ends every session; then it starts again. */
  restart(pauseMs: number): Promise<void> {
    return this.exclusively(async () => {
      await this.calls.call('stop');
      await sleep(pauseMs);
      await this.start();
    });
  }

  /** Kills one session's process, at which the server ends all others and recovers by itself. */
  killSession(): Promise<void> {
    return this.exclusively(async () => {
      const sessions = `select pid from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit 1`;
      const [session] = await this.query<{ pid: number }>(sessions);
      if (session !== undefined) await this.calls.call('killOne', session.pid);
    });
  }

  /** Waits for the server, and repeats what an outage interrupted. */
  async query<T extends pg.QueryResultRow>(text: string, values: unknown[] = [], database?: string): Promise<T[]> {
    let problem: unknown;
    for (let attempt = 0; attempt < QUERY_TRIES; attempt += 1) {
      const client = new pg.Client({ connectionString: this.url(database), connectionTimeoutMillis: 5_000 });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return (await client.query<T>(text, values)).rows;
      } catch (error) {
        problem = error;
        await sleep(250);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
    throw new Error(`The database does not answer: ${text}`, { cause: problem });
  }

  /** Ends the server and removes its files. */
  async close(): Promise<void> {
    await this.queue;
    const gone = once(this.child, 'exit');
    this.child.disconnect();
    await gone;
  }

  private async start(): Promise<void> {
    this.address = String(await this.calls.call('start'));
  }

  private exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.queue.then(work);
    this.queue = done.catch(() => undefined);
    return done;
  }
}
