import { setTimeout as sleep } from 'node:timers/promises';
import { TaskReporter } from '../lib/services/task-reporter.js';
import { openInstance, reportTo } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import type { BenchDatabase } from './support/bench-database.js';
import { fillLog } from './support/fill-log.js';
import { FollowerProcess } from './support/follower-group.js';
import { nowUs, openLoop } from './support/load.js';
import type { StalledResult } from './support/stalled-client.js';
import { atMost, atMostMore, type Figures } from './support/report.js';
import { ServerProcess } from './support/server-process.js';
import { ourTarget } from './support/targets.js';

// Followers that misbehave together: one that stalls among many, and many that come back at once after a restart.

const MIB = 2 ** 20;
/** What fills the buffers between a server and a client that does not read. */
const LOG_BYTES = 24 * MIB;
const EVENT_BYTES = 3_000;

/** The same followers at the same rate, without and with one that asks for a long log and reads none of it. */
async function stalled(context: BenchContext, database: BenchDatabase, clients: FollowerProcess): Promise<void> {
  const { report, pairs, scale } = context;
  const stallTimeoutMs = scale(2_000, 300);
  const webSocket = { stallTimeoutMs };
  const app = await openInstance(context, database, { streams: { webSocket } });
  const [taskId = ''] = await database.tasks(1);
  const stored = scale(Math.ceil(LOG_BYTES / EVENT_BYTES), 3_000);
  await fillLog(database, taskId, stored, EVENT_BYTES);
  // Its reports are not numbered: the log is full of numbers already.
  const attempt = app.get(TaskReporter).attach(taskId, 1);
  const followers = scale(1_000, 20);
  const target = ourTarget(app.origin, 'websocket', taskId, `${stored}-0`);
  const group = await clients.group(
    'steady',
    Array.from({ length: followers }, () => target),
    { timedEvery: 20 },
  );
  const run = async (): Promise<Figures> => {
    global.gc?.();
    const before = process.memoryUsage.rss();
    let peak = before;
    const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
    await group.start();
    await group.reached(await openLoop(20, scale(4_000, 1_000), () => reportTo(attempt, `t=${nowUs()}`)));
    clearInterval(timer);
    const { p99 } = await group.result();
    return { p99, memory: (peak - before) / MIB };
  };
  const outcomes: StalledResult[] = [];
  const withStalled = async (): Promise<Figures> => {
    const stalledTarget = ourTarget(app.origin, 'websocket', taskId, '0');
    const outcome = clients.calls.call('stall', { target: stalledTarget, stallMs: 2 * stallTimeoutMs, events: stored });
    const figures = await run();
    outcomes.push((await outcome) as StalledResult);
    return figures;
  };
  const measured = await pairs(run, withStalled, 2);
  const path = `one stalled among ${followers.toLocaleString('en')} followers`;
  const beside = 'with it, beside without';
  report.compare(measured, {
    path,
    variant: `the others, ${beside}`,
    figure: 'p99',
    unit: 'ms p99',
    reach: atMost(1.5),
  });
  const memory = { path, variant: `memory growth, ${beside}`, figure: 'memory', unit: 'MiB', reach: atMostMore(16) };
  report.compare(measured, memory);
  const last = outcomes.at(-1);
  report.figure(path, 'its close code', '', last?.closeCode ?? NaN);
  report.figure(path, 'events it missed after resuming', '', last?.missing ?? NaN);
}

/** Total of what the database has done for this benchmark's database. */
async function databaseLoad({ query }: BenchDatabase): Promise<{ transactions: number; rows: number }> {
  await query('select pg_stat_force_next_flush()');
  const [row] = await query<{ transactions: string; rows: string }>(
    `select xact_commit as transactions, tup_fetched + tup_returned as rows from pg_stat_database where datname = current_database()`,
  );
  return { transactions: Number(row?.transactions), rows: Number(row?.rows) };
}

async function herd(context: BenchContext, database: BenchDatabase, clients: FollowerProcess): Promise<void> {
  const { report, scale } = context;
  const [followers, tasks, events] = [scale(2_000, 50), scale(200, 5), scale(1_000, 50)];
  const taskIds = await database.tasks(tasks);
  for (const taskId of taskIds) await fillLog(database, taskId, events, 200);
  // Cursors spread evenly over the logs, and some in no log's memory.
  const cursors = Array.from({ length: followers }, (_, index) => Math.floor((index * events) / followers));
  const missing = cursors.reduce((sum, cursor) => sum + events - cursor, 0);
  const before = await ServerProcess.ours(context, database.url);
  const targets = (origin: string) =>
    cursors.map((cursor, index) => {
      const kind = index % 2 === 0 ? 'sse' : 'websocket';
      return ourTarget(origin, kind, taskIds[index % tasks] ?? '', `${cursor}-0`);
    });
  const first = await clients.group('before', targets(before.origin), { step: missing });
  await first.reached(1);
  await before.kill();
  await first.close();
  const after = await ServerProcess.ours(context, database.url);
  await sleep(scale(500, 0));
  const { rssBytes } = await after.usage('settled');
  await after.call('watchMemory');
  const load = await databaseLoad(database);
  const cpu = (await after.usage()).cpuUs;
  const startedUs = nowUs();
  const group = await clients.group('herd', targets(after.origin), { step: missing });
  await group.reached(1);
  const seconds = ((await group.result()).lastAtUs - startedUs) / 1e6;
  await sleep(scale(1_000, 100));
  const loadAfter = await databaseLoad(database);
  const path = `${followers.toLocaleString('en')} followers reconnect at once`;
  report.figure(path, `all caught up (${missing.toLocaleString('en')} events)`, 's', seconds);
  report.figure(path, 'events', 'events/s', missing / seconds);
  report.figure(path, 'peak memory above idle', 'MiB', ((await after.peakRss()) - rssBytes) / MIB);
  report.figure(path, 'server CPU', 's', ((await after.usage()).cpuUs - cpu) / 1e6);
  report.figure(path, 'database, statements', '', loadAfter.transactions - load.transactions);
  report.figure(path, 'database, rows read', '', loadAfter.rows - load.rows);
  await group.close();
}

defineBench(async (context) => {
  const database = await context.database();
  const clients = await FollowerProcess.open(context);
  await stalled(context, database, clients);
  await herd(context, database, clients);
});
