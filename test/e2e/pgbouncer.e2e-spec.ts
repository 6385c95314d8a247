import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { PostgresWakeUps } from '../../lib/streams/postgres-wake-ups.js';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskContext } from '../../lib/executors/task-handler.js';
import { EventStore } from '../../lib/stores/event.store.js';
import { verifyTaskBridge } from '../../lib/verification/index.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import { holdRow } from '../support/held-row.js';
import { hasPgBouncer, PgBouncer } from '../support/pgbouncer.js';
import { oneTo, readPolls, readSse, readWebSocket, seqsOf } from '../support/stream-clients.js';

const STEPS = 20;
/** What a session may keep for the next client of its server. */
const LEFT_BEHIND = `select current_setting('enable_seqscan') as seqscan, current_setting('lock_timeout') as lock_timeout,
  current_setting('jit') as jit, (select count(*)::int from pg_prepared_statements) as prepared`;

@TaskHandler('steps')
class StepsHandler {
  async run(task: TaskContext): Promise<void> {
    for (let step = 1; step <= STEPS; step += 1) await task.progress(step);
  }
}

const describeWhereInstalled = hasPgBouncer ? describe : describe.skip;

describeWhereInstalled('Behind PgBouncer in transaction mode (skipped where it is not installed)', () => {
  let database: TestDatabase;
  let bouncer: PgBouncer;
  let apps: TestApp[];

  beforeEach(async () => {
    database = await createTestDatabase();
    bouncer = await PgBouncer.open(database.url);
    apps = [];
  });
  afterEach(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await bouncer.close();
    await database.drop();
  });

  async function start(taskBridge: Parameters<typeof startTestApp>[0] = {}): Promise<TestApp> {
    const behind = { ...database, url: bouncer.url };
    const app = await startTestApp({ database: behind, providers: [...TEST_HANDLERS, StepsHandler], ...taskBridge });
    apps.push(app);
    return app;
  }

  it('everything works, followers poll, readiness says so, and no session setting reaches other clients', async () => {
    const [one, other] = [await start(), await start()];
    const ada = one.as('ada');
    expect((await ada.get('/ready')).body).toMatchObject({
      status: 'ready',
      checks: expect.arrayContaining([{ name: 'listener', ok: true, detail: 'polling' }]),
    });

    const tasks = await Promise.all(Array.from({ length: 10 }, () => ada.create('steps')));
    await Promise.all(
      tasks.map(async (taskId, n) => {
        const read = [readSse, readWebSocket][n % 2] ?? readSse;
        const { events } = await read(other.url, taskId, { subject: 'ada' });
        expect(seqsOf(events)).toEqual(oneTo(STEPS + 2));
        expect(events.at(-1)?.type).toBe('TASK_COMPLETED');
      }),
    );
    const asked = await ada.create('ask');
    await ada.until(asked, ({ openSuspensions }) => openSuspensions.length === 1);
    const answer = { clientActionId: 'a', suspendId: 'question', actionType: 'approve' };
    expect(await other.as('ada').post(`/api/v1/tasks/${asked}/actions`, answer)).toMatchObject({ status: 202 });
    const answered = await readPolls(one.url, asked, { subject: 'ada' });
    expect(answered.at(-1)).toMatchObject({ type: 'TASK_COMPLETED', payload: { result: { action: 'approve' } } });
    const waiting = await ada.create('wait');
    await ada.until(waiting, ({ status }) => status === 'RUNNING');
    expect((await ada.post(`/api/v1/tasks/${waiting}/cancel`)).status).toBe(202);
    await ada.until(waiting, ({ status }) => status === 'CANCELLED');

    const plain = { seqscan: 'on', lock_timeout: '0', jit: 'on', prepared: 0 };
    expect(await bouncer.serverStates(LEFT_BEHIND)).toEqual([plain, plain, plain, plain]);
    expect((await verifyTaskBridge({ connectionString: database.url })).findings).toEqual([]);
  });

  it('a held row delays its own task only, also where a statement may take less time than that of a wait', async () => {
    await limitStatements(database.url);
    const app = await start({ taskBridge: { append: { lockTimeoutMs: 2_000 } } });
    const ada = app.as('ada');
    const [heldId, free] = [await ada.create('wait'), await ada.create('wait')];
    for (const taskId of [heldId, free]) await ada.until(taskId, ({ status }) => status === 'RUNNING');
    const held = await holdRow(database.url, heldId);
    const message = (taskId: string) =>
      app
        .get(EventStore)
        .append({ taskId, type: 'TASK_MESSAGE', attempt: null, payload: { message: 'm', level: 'info' } });
    const waiting = message(heldId);
    expect((await Promise.all([message(free), message(free)])).map(({ seq }) => seq)).toEqual([2, 3]);
    await held.release();
    expect((await waiting).seq).toBe(2);
  }, 60_000);

  it('listens and appends on sessions of its own with `direct`', async () => {
    const { port } = new URL(database.url);
    const app = await start({ taskBridge: { direct: { port: Number(port) } } });
    await eventually(() => app.get(PostgresWakeUps).mode === 'listening');
    const ada = app.as('ada');
    const taskId = await ada.create('steps');
    const { events } = await readSse(app.url, taskId, { subject: 'ada' });
    expect(seqsOf(events)).toEqual(oneTo(STEPS + 2));
    const sessions: { application_name: string }[] = await app.query(
      `select application_name from pg_stat_activity where datname = current_database()
       and application_name like 'taskbridge%' order by application_name`,
    );
    expect(sessions.map(({ application_name: name }) => name.split(' ').slice(0, 2).join(' '))).toEqual([
      'taskbridge listen',
      'taskbridge notify',
      expect.stringMatching(/^taskbridge-append /),
    ]);
  });
});

/** For every session that begins now, and there is no other. */
async function limitStatements(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query(`alter database "${new URL(connectionString).pathname.slice(1)}" set statement_timeout = '1s'`);
  await client.query(`select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()`);
  await client.end();
}
