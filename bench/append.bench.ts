import pg from 'pg';
import type { StreamApp } from '../test/support/stream-app.js';
import { PostgresWakeUps } from '../lib/streams/index.js';
import { attemptsOf, openInstance, reportTo, untilAlone } from './support/bench-instance.js';
import type { BenchContext } from './support/bench.js';
import { defineBench } from './support/bench.js';
import { ServerProcess } from './support/server-process.js';
import { eventually } from '../test/support/eventually.js';
import type { BenchDatabase } from './support/bench-database.js';
import { latencies } from './support/figures.js';
import { GroupCommit, recordsOf } from './support/group-commit.js';
import { closedLoop } from './support/load.js';
import { benchPayload } from './support/payload.js';
import { atLeast, atMost, type Figures } from './support/report.js';

// Durable appends through `TaskReporter`, beside the same statement called by hand.

const TASKS = 1_000;
const POOL = 20;
const PAIRS = 5;
const DURATION_MS = 600;

/** Each producer goes from task to task, so that the producers never meet. */
function taskOf(producer: number, call: number, producers: number): number {
  return (producer + call * producers) % TASKS;
}

function byHand(commit: GroupCommit, records: ((payload: string) => string)[]): (task: number) => Promise<unknown> {
  return (task) => commit.append(records[task]?.(JSON.stringify(benchPayload())) ?? '');
}

async function openSides(context: BenchContext, app: StreamApp, database: BenchDatabase, tasks: number) {
  const attempts = attemptsOf(app, await database.tasks(tasks));
  const checked = await GroupCommit.open(database.url, database.tables);
  const unchecked = await GroupCommit.open(database.url, database.tables, 'unchecked');
  context.defer(() => Promise.all([checked.close(), unchecked.close()]));
  const records = (await database.tasks(tasks)).map(recordsOf);
  const bareRecords = (await database.tasks(tasks)).map(recordsOf);
  return {
    ours: (task: number) => reportTo(attempts[task]),
    limit: byHand(checked, records),
    unchecked: byHand(unchecked, bareRecords),
  };
}

async function manyTasks(context: BenchContext, app: StreamApp, database: BenchDatabase): Promise<void> {
  const { report, scale, pairs } = context;
  const sides = await openSides(context, app, database, TASKS);
  const durationMs = scale(DURATION_MS, 100);
  for (const producers of scale([1, 10, 100, 1_000], [10])) {
    const run = (append: (task: number) => Promise<unknown>) => (): Promise<Figures> =>
      closedLoop(producers, durationMs, (producer, call) => append(taskOf(producer, call, producers)));
    const variant = `${producers} producers`;
    const path = 'append, many tasks';
    const measured = await pairs(run(sides.limit), run(sides.ours), PAIRS);
    report.compare(measured, { path, variant, figure: 'rate', unit: 'events/s', reach: atLeast(0.85) });
    const statements = await pairs(run(sides.unchecked), run(sides.limit), producers < 100 ? 1 : 2);
    const price = { path: 'checked statement beside an unchecked one', variant, figure: 'rate', unit: 'events/s' };
    report.compare(statements, price);
    if (producers === scale(100, 10)) await besideTransactions(context, database, { producers, ours: run(sides.ours) });
  }
}

async function besideTransactions(
  { report, scale, pairs, defer }: BenchContext,
  { url, tables, tasks }: BenchDatabase,
  { producers, ours }: { producers: number; ours: () => Promise<Figures> },
): Promise<void> {
  const pool = new pg.Pool({ connectionString: url, max: POOL });
  defer(() => pool.end());
  const taskIds = await tasks(TASKS);
  const transaction = async (taskId: string | undefined): Promise<void> => {
    const client = await pool.connect();
    try {
      await client.query('begin');
      const count = `update ${tables.tasks} set last_seq = last_seq + 1 where task_id = $1 returning last_seq`;
      const { rows } = await client.query<{ last_seq: string }>({ name: 'count', text: count, values: [taskId] });
      const insert = `insert into ${tables.events} (task_id, seq, type, attempt, created_at, payload) values ($1, $2, 1, 1, now(), $3)`;
      const values = [taskId, rows[0]?.last_seq, JSON.stringify(benchPayload())];
      await client.query({ name: 'insert', text: insert, values });
      await client.query('commit');
    } finally {
      client.release();
    }
  };
  const limit = (): Promise<Figures> =>
    closedLoop(producers, scale(1_000, 100), (producer, call) =>
      transaction(taskIds[taskOf(producer, call, producers)]),
    );
  report.compare(await pairs(limit, ours), {
    path: 'append, many tasks',
    variant: `${producers} producers, beside one transaction per event`,
    figure: 'rate',
    unit: 'events/s',
    reach: atLeast(6),
  });
  const statement = `with moved as (update ${tables.tasks} set last_seq = last_seq + 1 where task_id = $1 returning last_seq)
    insert into ${tables.events} (task_id, seq, type, attempt, created_at, payload)
    select $1, last_seq, 1, 1, now(), $2 from moved`;
  const atOnce = (): Promise<Figures> =>
    closedLoop(producers, scale(1_000, 100), (producer, call) => {
      const values = [taskIds[taskOf(producer, call, producers)], JSON.stringify(benchPayload())];
      return pool.query({ name: 'at once', text: statement, values });
    });
  report.compare(await pairs(atOnce, ours, 2), {
    path: 'append, many tasks',
    variant: `${producers} producers, beside one statement per event`,
    figure: 'rate',
    unit: 'events/s',
  });
}

async function hotTask(context: BenchContext, app: StreamApp, database: BenchDatabase): Promise<void> {
  const { report, scale, pairs } = context;
  const sides = await openSides(context, app, database, 1);
  const run = (append: (task: number) => Promise<unknown>) => (): Promise<Figures> =>
    closedLoop(scale(100, 10), scale(DURATION_MS, 100), () => append(0));
  report.compare(await pairs(run(sides.limit), run(sides.ours), PAIRS), {
    path: 'append, one hot task',
    variant: `${scale(100, 10)} producers`,
    figure: 'rate',
    unit: 'events/s',
    reach: atLeast(0.85),
  });
}

/** One event at a time, with pauses. */
async function idle(context: BenchContext, app: StreamApp, database: BenchDatabase): Promise<void> {
  const { report, scale, pairs, defer } = context;
  const [attempt] = attemptsOf(app, await database.tasks(1));
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  defer(() => client.end());
  const [taskId] = await database.tasks(1);
  const text = `with moved as (update ${database.tables.tasks} set last_seq = last_seq + 1 where task_id = $1 returning last_seq)
    insert into ${database.tables.events} (task_id, seq, type, attempt, created_at, payload)
    select $1, last_seq, 1, 1, clock_timestamp(), $2 from moved`;
  const statement = (): Promise<unknown> =>
    client.query({ name: 'append', text, values: [taskId, JSON.stringify(benchPayload())] });
  const run = (append: () => Promise<unknown>) => async (): Promise<Figures> => {
    const times: number[] = [];
    for (let call = 0; call < scale(300, 10); call += 1) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      const startMs = performance.now();
      await append();
      times.push(performance.now() - startMs);
    }
    return latencies(times);
  };
  const measured = await pairs(
    run(statement),
    run(() => reportTo(attempt)),
  );
  const path = 'append latency when idle';
  report.compare(measured, { path, variant: 'p50', figure: 'p50', unit: 'ms', reach: atMost(1.5) });
  report.compare(measured, { path, variant: 'p99', figure: 'p99', unit: 'ms' });
}

/** The same with somebody to be notified of every event. */
async function besidePeer(context: BenchContext, app: StreamApp, database: BenchDatabase): Promise<void> {
  const { report, scale, pairs } = context;
  const sides = await openSides(context, app, database, TASKS);
  await ServerProcess.ours(context, database.url);
  await eventually(() => !app.get(PostgresWakeUps).isAlone);
  const producers = scale(100, 10);
  const run = (append: (task: number) => Promise<unknown>) => (): Promise<Figures> =>
    closedLoop(producers, scale(1_000, 100), (producer, call) => append(taskOf(producer, call, producers)));
  report.compare(await pairs(run(sides.limit), run(sides.ours)), {
    path: 'append, many tasks',
    variant: `${producers} producers, another instance listening`,
    figure: 'rate',
    unit: 'events/s',
  });
}

defineBench(async (context) => {
  const database = await context.database();
  const app = await openInstance(context, database);
  await untilAlone(context, app);
  await idle(context, app, database);
  await manyTasks(context, app, database);
  await hotTask(context, app, database);
  await besidePeer(context, app, database);
});
