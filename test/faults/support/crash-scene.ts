import pg from 'pg';
import { expect } from '@jest/globals';
import type { LogEntry } from '../../../lib/testing/index.js';
import type { TaskBridgeOptions } from '../../../lib/taskbridge.options.js';
import { verifyTaskBridge } from '../../../lib/verification/index.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { HttpClient } from '../../support/http-client.js';
import { TaskInstance, typesOf } from '../../support/task-instance.js';
import type { CrashPoint } from './crash-points.js';
import { FAULT_HANDLERS } from './fault-handlers.js';
import { FaultHost } from './fault-host.js';
import { SpareHosts } from './fault-cluster.js';
import { INVARIANTS } from './invariants.js';

/** As short as they may be: a crash is survived in a second or two. */
const QUICK: TaskBridgeOptions = {
  execution: { leaseMs: 1_000, heartbeatMs: 300, cancelGraceMs: 1_000 },
  reconciliation: { intervalMs: 100, claimMs: 1_000, dispatchTimeoutMs: 800, backoffMs: 50 },
  shutdown: { drainWindowMs: 50, runTimeoutMs: 500 },
};

/** A death at a named point, and the instance that is left with its consequences. */
export class CrashScene {
  private readonly hosts: FaultHost[] = [];
  private survivor: TaskInstance | undefined;

  private constructor(
    private readonly database: TestDatabase,
    private readonly spares: SpareHosts,
  ) {}

  static async open(spares: SpareHosts): Promise<CrashScene> {
    return new CrashScene(await createTestDatabase(), spares);
  }

  /** An instance that dies at the point, or later at one of `armCrash`. */
  async victim(crashAt?: CrashPoint): Promise<Victim> {
    const { url: databaseUrl } = this.database;
    const boot = { databaseUrl, options: QUICK, ...(crashAt && { crashAt }) };
    const host = await this.spares.take().boot(boot);
    this.hosts.push(host);
    return new Victim(host);
  }

  /** The instance that goes on; the same for each call. */
  async other(): Promise<TaskInstance> {
    this.survivor ??= await TaskInstance.open(this.database, FAULT_HANDLERS, { ...QUICK, runMigrations: true });
    return this.survivor;
  }

  /** Resolves with the whole log once the other instance has brought the task to its end, and all is in order. */
  async endOf(taskId: string): Promise<LogEntry[]> {
    const other = await this.other();
    const log = await other.end(taskId, 20_000);
    await this.assertSound();
    return log;
  }

  /** The same for the type of each event. */
  async storyOf(taskId: string): Promise<string[]> {
    return typesOf(await this.endOf(taskId));
  }

  async rows<T extends object>(text: string, values: unknown[] = []): Promise<T[]> {
    const client = new pg.Client({ connectionString: this.database.url });
    await client.connect();
    try {
      return (await client.query<T & pg.QueryResultRow>(text, values)).rows;
    } finally {
      await client.end();
    }
  }

  async assertSound(): Promise<void> {
    for (const [meaning, sql] of Object.entries(INVARIANTS)) {
      expect({ [meaning]: await this.rows(sql) }).toEqual({ [meaning]: [] });
    }
    expect((await verifyTaskBridge({ connectionString: this.database.url })).findings).toEqual([]);
  }

  async close(): Promise<void> {
    await Promise.all(this.hosts.map((host) => host.end('SIGKILL')));
    await this.survivor?.close();
    await this.database.drop();
  }
}

/** An instance about to die, and its client, who gets no answer then. */
export class Victim {
  private readonly client: HttpClient;

  constructor(private readonly host: FaultHost) {
    this.client = new HttpClient(host.url, 'ada');
  }

  create(taskType: string, input: Record<string, unknown> = {}): Promise<string> {
    return this.client.create(taskType, input);
  }

  /** `undefined`: the process died before it answered. */
  async post(path: string, body: Record<string, unknown>): Promise<number | undefined> {
    return this.client.post(`/api/v1/tasks${path}`, body).then(
      ({ status }) => status,
      () => undefined,
    );
  }

  /** Resolves once the log of the task holds this many events. */
  async logged(taskId: string, events: number): Promise<void> {
    await this.client.until(taskId, ({ lastEventId }) => Number.parseInt(lastEventId ?? '0', 10) >= events);
  }

  async armCrash(point: CrashPoint): Promise<void> {
    await this.host.armCrash(point);
  }

  /** Resolves when it has died as it was told to. */
  async dies(): Promise<void> {
    expect(await this.host.exited).toBe('SIGKILL');
  }

  /** Asks it to leave. */
  terminate(): void {
    void this.host.end('SIGTERM');
  }

  /** Whatever it does right now. */
  async kill(): Promise<void> {
    await this.host.end('SIGKILL');
  }
}
