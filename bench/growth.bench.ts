import { EventStore } from '../lib/stores/event.store.js';
import type { StreamApp } from '../test/support/stream-app.js';
import { attemptsOf, openInstance, reportTo, untilAlone } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import type { BenchDatabase } from './support/bench-database.js';
import { latencies } from './support/figures.js';
import { closedLoop } from './support/load.js';
import { benchPayload } from './support/payload.js';
import { atMost, type Figures } from './support/report.js';

// The same appends and tail reads on a log that has grown, beside one that has not, in turns.

const PRODUCERS = 100;
const TAIL = 20;
const REPEATS = 3;

/** Adds events to every task, one of each task at a time: the worst order for reading one task's tail. */
async function grow({ query, tables }: BenchDatabase, fromSeq: number, toSeq: number): Promise<void> {
  const insert = `insert into ${tables.events} (task_id, seq, type, attempt, append_no, created_at, payload)
    select t.task_id, t.last_seq + n, 1, 1, null, now(), $3::json
    from generate_series($1::int, $2::int) as n cross join ${tables.tasks} t`;
  const count = toSeq - fromSeq;
  for (let done = 0; done < count; done += 10) {
    const step = Math.min(10, count - done);
    await query(insert, [1, step, JSON.stringify(benchPayload())]);
    await query(`update ${tables.tasks} set last_seq = last_seq + $1`, [step]);
  }
  await query(`vacuum analyze ${tables.events}`);
  await query(`vacuum analyze ${tables.tasks}`);
  await query('checkpoint');
}

/** Tasks of a database of its own, with a tail of full length each, and what is measured on them. */
async function openLog(
  context: BenchContext,
): Promise<{ app: StreamApp; database: BenchDatabase; measure: () => Promise<Figures> }> {
  const { scale } = context;
  const database = await context.database();
  const app = await openInstance(context, database);
  const taskIds = await database.tasks(scale(20_000, 100));
  const attempts = attemptsOf(app, taskIds);
  const events = app.get(EventStore);
  await grow(database, 0, TAIL);
  const measure = async (): Promise<Figures> => {
    const { rate = NaN } = await closedLoop(PRODUCERS, scale(1_000, 100), (producer, call) =>
      reportTo(attempts[(producer + call * PRODUCERS) % attempts.length]),
    );
    const times: number[] = [];
    for (let read = 0; read < scale(300, 20); read += 1) {
      const taskId = taskIds[(read * 37) % taskIds.length] ?? '';
      const last = (await events.lastSeqs([taskId])).get(taskId) ?? 0;
      const startMs = performance.now();
      await events.listAfter(taskId, Math.max(0, last - TAIL), TAIL);
      times.push(performance.now() - startMs);
    }
    return { append: 1e6 / rate, tail: latencies(times).p50 };
  };
  return { app, database, measure };
}

/** Index blocks per event that were not in Postgres' own buffers: what a log that outgrows them costs. */
async function indexReads({ query, tables }: BenchDatabase): Promise<() => Promise<number>> {
  const counted = `select idx_blks_read::float8 as reads, (select n_tup_ins::float8 from pg_stat_user_tables s
    where s.relid = i.relid) as inserts from pg_statio_user_tables i where i.relid = '${tables.events}'::regclass`;
  const read = async () =>
    (await query<{ reads: number; inserts: number }>(counted))[0] ?? { reads: NaN, inserts: NaN };
  const before = await read();
  return async () => {
    const { reads, inserts } = await read();
    return (reads - before.reads) / (inserts - before.inserts);
  };
}

defineBench(async (context) => {
  const { report, scale, pairs } = context;
  const [empty, grown] = await Promise.all([openLog(context), openLog(context)]);
  let perTask = TAIL;
  for (const target of scale([1_000_000, 5_000_000], [5_000])) {
    const wanted = Math.ceil(target / scale(20_000, 100));
    await grow(grown.database, perTask, wanted);
    perTask = wanted;
    await Promise.all([empty, grown].map(({ app }) => untilAlone(context, app)));
    // The first append to a page after a checkpoint writes the whole page once, however long the log is.
    await grown.measure();
    const readsPerEvent = await indexReads(grown.database);
    const measured = await pairs(empty.measure, grown.measure, REPEATS);
    const start = (scale(20_000, 100) * TAIL) / 1e6;
    const variant = `${(target / 1e6).toLocaleString('en')}M events stored, beside ${start.toLocaleString('en')}M`;
    const append = { path: 'growth, append', variant, figure: 'append', unit: 'µs/event' };
    report.compare(measured, { ...append, reach: atMost(1.25) });
    // Sessions tell what they have counted at most once a second.
    if (context.size === 'full') {
      report.figure('growth, append', `${variant}, index blocks read`, 'per event', await readsPerEvent());
    }
    report.compare(measured, {
      path: 'growth, tail read',
      variant,
      figure: 'tail',
      unit: 'ms p50',
      reach: atMost(2.5),
    });
  }
});
