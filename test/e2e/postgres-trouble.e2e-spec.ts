import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { TaskEvent } from '@taskbridge/protocol';
import { Client } from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskContext } from '../../lib/executors/task-handler.js';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import { verifyTaskBridge } from '../../lib/verification/index.js';
import { FaultPostgres } from '../faults/support/fault-postgres.js';
import { FaultProxy } from '../faults/support/fault-proxy.js';
import { BearerNames } from '../support/app.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { createTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { HttpClient } from '../support/http-client.js';
import { oneTo, readPolls, readSse, readWebSocket, seqsOf } from '../support/stream-clients.js';

const TASKS = '/api/v1/tasks';

/** Steps until it is told to stop, so that a test decides when the trouble is over. */
@TaskHandler('steps')
class StepsHandler {
  static isOver = false;

  async run(task: TaskContext): Promise<number> {
    let step = 0;
    while (!StepsHandler.isOver) {
      await task.progress(step % 100);
      step += 1;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return step;
  }
}

interface Host {
  app: NestFastifyApplication;
  ada: HttpClient;
}

async function startHost(databaseUrl: string, pool: object = {}): Promise<Host> {
  class HostModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: databaseUrl, entities: [...TASKBRIDGE_ENTITIES], extra: pool }),
      TaskBridgeModule.forRoot({ authContextResolver: BearerNames, runMigrations: true }),
    ],
    providers: [StepsHandler],
  })(HostModule);
  const app = await NestFactory.create<NestFastifyApplication>(HostModule, new FastifyAdapter(), {
    logger: false,
    abortOnError: false,
  });
  await app.listen(0, '127.0.0.1');
  return { app, ada: new HttpClient(await app.getUrl(), 'ada') };
}

/** A task that runs, and readers of its log that never connect twice. */
class Followed {
  private readonly streams: Promise<{ events: TaskEvent[] }>[];
  private seen = 0;

  private constructor(
    private readonly ada: HttpClient,
    readonly taskId: string,
  ) {
    const request = { subject: 'ada', onEvent: () => (this.seen += 1) };
    this.streams = [readSse(ada.url, taskId, request), readWebSocket(ada.url, taskId, request)];
    for (const stream of this.streams) stream.catch(() => undefined);
  }

  static async open(ada: HttpClient): Promise<Followed> {
    StepsHandler.isOver = false;
    const followed = new Followed(ada, await ada.create('steps'));
    await followed.goesOn();
    return followed;
  }

  /** Until the streams have brought more than they had. */
  async goesOn(): Promise<void> {
    const before = this.seen;
    await eventually(() => this.seen > before + 10, 60_000);
  }

  /** Each stream, open all the time, has seen the whole log once and in order, and so does a poll afterwards. */
  async assertComplete(): Promise<void> {
    StepsHandler.isOver = true;
    const [sse, webSocket] = await Promise.all(this.streams);
    const polled = await readPolls(this.ada.url, this.taskId, { subject: 'ada' });
    expect(polled.at(-1)).toMatchObject({ type: 'TASK_COMPLETED' });
    for (const events of [polled, sse?.events ?? [], webSocket?.events ?? []]) {
      expect(seqsOf(events)).toEqual(oneTo(polled.length));
    }
    const results = polled.filter(({ type }) => type === 'TASK_PROGRESS');
    expect(polled.at(-1)?.payload).toEqual({ result: results.length });
  }
}

const checksOf = async (ada: HttpClient) => {
  const { status, body } = await ada.get('/ready');
  const checks = body['checks'] as { name: string; detail?: string }[] | undefined;
  return { status, listener: checks?.find(({ name }) => name === 'listener')?.detail };
};
const create = () => ({ clientRequestId: uuidv7(), taskType: 'steps' });

describe('Postgres trouble leaves streams open, makes no event twice, and passes by itself', () => {
  let host: Host;
  let cleanUps: (() => Promise<void>)[];

  beforeEach(() => {
    cleanUps = [];
  });
  afterEach(async () => {
    StepsHandler.isOver = true;
    for (const cleanUp of cleanUps.toReversed()) await cleanUp();
  });

  async function hostOn(databaseUrl: string, pool?: object): Promise<HttpClient> {
    host = await startHost(databaseUrl, pool);
    cleanUps.push(() => host.app.close());
    await eventually(async () => (await checksOf(host.ada)).listener === 'listening');
    return host.ada;
  }

  async function ownDatabase(): Promise<{ url: string; admin: Client }> {
    const database = await createTestDatabase();
    const admin = new Client({ connectionString: database.url });
    await admin.connect();
    cleanUps.push(() => database.drop());
    cleanUps.push(() => admin.end());
    return { url: database.url, admin };
  }

  const cleanDatabase = async (connectionString: string) =>
    expect((await verifyTaskBridge({ connectionString })).findings).toEqual([]);

  it('when the server is restarted, and when it is killed and recovers', async () => {
    const server = await FaultPostgres.open();
    cleanUps.push(() => server.close());
    const proxy = await FaultProxy.open(() => server.port);
    cleanUps.push(() => proxy.close());
    const proxied = new URL(server.url());
    proxied.port = String(proxy.port);
    const ada = await hostOn(proxied.href);
    const followed = await Followed.open(ada);
    for (const disturb of [() => server.restart(1_500), () => server.killAndStart(1_500)]) {
      const back = disturb();
      await eventually(async () => (await checksOf(ada)).status === 503);
      expect((await ada.post(TASKS, create())).status).toBe(503);
      await back;
      await eventually(async () => (await checksOf(ada)).status === 200, 60_000);
      await followed.goesOn();
    }
    await eventually(async () => (await checksOf(ada)).listener === 'listening', 60_000);
    await followed.assertComplete();
    await cleanDatabase(server.url());
  }, 180_000);

  it('when every connection is lost, and readiness tells how followers learn of events meanwhile', async () => {
    const { url } = await ownDatabase();
    const proxy = await startCuttingProxy(url);
    cleanUps.push(() => proxy.close());
    const proxied = new URL(url);
    proxied.host = new URL(proxy.url).host;
    const ada = await hostOn(proxied.href);
    const followed = await Followed.open(ada);
    await proxy.refuse();
    await eventually(async () => {
      const { status, listener } = await checksOf(ada);
      return status === 503 && listener === 'polling';
    });
    await proxy.accept();
    await eventually(async () => {
      const { status, listener } = await checksOf(ada);
      return status === 200 && listener === 'listening';
    }, 60_000);
    await followed.goesOn();
    await followed.assertComplete();
    await cleanDatabase(url);
  });

  it('when sessions are terminated one kind after the other', async () => {
    const { url, admin } = await ownDatabase();
    const ada = await hostOn(url);
    const followed = await Followed.open(ada);
    const kinds = ['taskbridge listen', 'taskbridge notify', 'taskbridge-append%', ''];
    for (const kind of kinds) {
      const { rowCount } = await admin.query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid() and application_name like $1`,
        [kind],
      );
      expect(rowCount).toBeGreaterThan(0);
      await followed.goesOn();
    }
    await eventually(async () => (await checksOf(ada)).listener === 'listening');
    await followed.assertComplete();
    await cleanDatabase(url);
  });

  it('when statement_timeout ends reads and requests', async () => {
    const { url, admin } = await ownDatabase();
    const ada = await hostOn(url, { statement_timeout: 400 });
    const followed = await Followed.open(ada);
    await admin.query('begin');
    await admin.query('lock table taskbridge_events, taskbridge_tasks in access exclusive mode');
    const refused = await ada.post(TASKS, create());
    expect([refused.status, refused.body['code'], refused.headers.get('retry-after')]).toEqual([
      503,
      'SERVICE_UNAVAILABLE',
      '2',
    ]);
    expect((await ada.get(`${TASKS}/${followed.taskId}`)).status).toBe(503);
    await admin.query('commit');
    await followed.goesOn();
    expect((await ada.post(TASKS, create())).status).toBe(201);
    await followed.assertComplete();
    await cleanDatabase(url);
  });

  it('when the primary has become a standby, until there is a primary again', async () => {
    const { url, admin } = await ownDatabase();
    const ada = await hostOn(url);
    const followed = await Followed.open(ada);
    const name = new URL(url).pathname.slice(1);
    await admin.query(`alter database "${name}" set default_transaction_read_only = on`);
    await admin.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`);
    await eventually(async () => (await ada.post(TASKS, create())).status === 503);
    // The append connection of these sessions is one that only a new one can replace.
    const lanes = `select 1 from pg_stat_activity
      where datname = current_database() and application_name like 'taskbridge-append%' and query <> ''`;
    await eventually(async () => (await admin.query(lanes)).rowCount === 1);
    expect((await ada.get(`${TASKS}/${followed.taskId}`)).status).toBe(200);
    expect((await checksOf(ada)).status).toBe(503);
    await admin.query('set default_transaction_read_only = off');
    await admin.query(`alter database "${name}" reset default_transaction_read_only`);
    await followed.goesOn();
    await eventually(async () => (await ada.post(TASKS, create())).status === 201);
    await followed.assertComplete();
    await cleanDatabase(url);
  });
});
