import { EventStore } from '../lib/stores/event.store.js';
import { attemptsOf, openInstance, reportTo } from './support/bench-instance.js';
import { defineBench } from './support/bench.js';
import type { BenchDatabase } from './support/bench-database.js';
import { latencies, median } from './support/figures.js';
import { closedLoop } from './support/load.js';
import { benchPayload } from './support/payload.js';
import { atLeast, atMost, type Figures, type Pair } from './support/report.js';

// The same appends and tail reads with more and more events stored, beside themselves with none.

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

function medians(runs: readonly Figures[]): Figures {
  const names = Object.keys(runs[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(runs.map((run) => run[name] ?? NaN))]));
}

defineBench(async (context) => {
  const { report, scale } = context;
  const database = await context.database();
  const app = await openInstance(context, database);
  const taskIds = await database.tasks(scale(20_000, 100));
  const attempts = attemptsOf(app, taskIds);
  const events = app.get(EventStore);

  const measure = async (): Promise<Figures> => {
    const { rate = NaN } = await closedLoop(PRODUCERS, scale(1_000, 100), (producer, call) =>
      reportTo(attempts[(producer + call * PRODUCERS) % attempts.length]),
    );
    const times: number[] = [];
    for (let read = 0; read < scale(500, 20); read += 1) {
      const taskId = taskIds[(read * 37) % taskIds.length] ?? '';
      const last = (await events.lastSeqs([taskId])).get(taskId) ?? 0;
      const startMs = performance.now();
      await events.listAfter(taskId, Math.max(0, last - TAIL), TAIL);
      times.push(performance.now() - startMs);
    }
    return { append: 1e6 / rate, rate, tail: latencies(times).p50 };
  };
  const several = async (): Promise<Figures> => {
    const runs: Figures[] = [];
    for (let run = 0; run < scale(REPEATS, 1); run += 1) runs.push(await measure());
    return medians(runs);
  };

  // A tail of full length before anything is measured.
  await grow(database, 0, TAIL);
  const empty = await several();
  let perTask = TAIL;
  for (const target of scale([1_000_000, 5_000_000], [5_000])) {
    const wanted = Math.ceil(target / taskIds.length);
    await grow(database, perTask, wanted);
    perTask = wanted;
    const pair: Pair = { limit: empty, ours: await several() };
    const variant = `${(target / 1e6).toLocaleString('en')}M events stored, beside none`;
    report.compare([pair], {
      path: 'growth, append',
      variant,
      figure: 'append',
      unit: 'µs/event',
      reach: atMost(1.25),
    });
    report.compare([pair], { path: 'growth, append', variant, figure: 'rate', unit: 'events/s', reach: atLeast(0.8) });
    report.compare([pair], { path: 'growth, tail read', variant, figure: 'tail', unit: 'ms p50', reach: atMost(2.5) });
  }
});
