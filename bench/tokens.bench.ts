import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskAttempt } from '../lib/services/task-attempt.js';
import { attemptsOf, openInstance } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import type { BenchDatabase } from './support/bench-database.js';
import { FollowerProcess } from './support/follower-group.js';
import { nowUs, withCpu } from './support/load.js';
import type { Figures } from './support/report.js';
import { ourTarget } from './support/targets.js';

// Many token streams at once, each with a follower: merged by `stream()`, beside an event per token.

const TOKENS_PER_SECOND = 50;
/** A time for each token: what is merged counts from its first. */
const token = (): string => ` t=${nowUs()}`;

/** How a stream logs one token. */
type Write = (attempt: TaskAttempt) => (text: string) => Promise<unknown>;

async function run(
  context: BenchContext,
  database: BenchDatabase,
  { clients, origin, attempts, name, write }: Streams,
): Promise<Figures> {
  const { scale } = context;
  const durationMs = scale(3_000, 300);
  const taskIds = attempts.map(({ taskId }) => taskId);
  const before = await storedEvents(database, taskIds);
  const targets = taskIds.map((taskId, index) => ourTarget(origin, 'websocket', taskId, `${before[index] ?? 0}-0`));
  const group = await clients.group(name, targets, { timedEvery: 1, step: 1 });
  const tokens = (TOKENS_PER_SECOND * durationMs) / 1_000;
  const stream = async (attempt: TaskAttempt, index: number): Promise<void> => {
    const put = write(attempt);
    const startMs = performance.now() + (index * 1_000) / TOKENS_PER_SECOND / attempts.length;
    for (let sent = 0; sent < tokens; sent += 1) {
      await sleep(Math.max(0, startMs + (sent * 1_000) / TOKENS_PER_SECOND - performance.now()));
      void put(token());
    }
    await attempt.settled();
  };
  const { cpuUs } = await withCpu(() => Promise.all(attempts.map(stream)));
  const after = await storedEvents(database, taskIds);
  const events = after.reduce((sum, count, index) => sum + count - (before[index] ?? 0), 0);
  await group.reached(events);
  const { p50, p99 } = await group.result();
  await group.close();
  return { events: (events * 1_000) / durationMs, cpu: cpuUs / (durationMs * 1_000), p50, p99 };
}

interface Streams {
  clients: FollowerProcess;
  origin: string;
  attempts: readonly TaskAttempt[];
  name: string;
  write: Write;
}

async function storedEvents({ query, tables }: BenchDatabase, taskIds: readonly string[]): Promise<number[]> {
  const sql = `select t.last_seq from unnest($1::uuid[]) with ordinality as i(task_id, n)
    join ${tables.tasks} t using (task_id) order by i.n`;
  return (await query<{ last_seq: string }>(sql, [taskIds])).map(({ last_seq }) => Number(last_seq));
}

defineBench(async (context) => {
  const { report, pairs, scale } = context;
  const streams = scale(200, 10);
  const database = await context.database();
  const app = await openInstance(context, database);
  const clients = await FollowerProcess.open(context);
  const shared = { clients, origin: app.origin, attempts: attemptsOf(app, await database.tasks(streams)) };
  const perToken: Write = (attempt) => (text) => attempt.message(text);
  const merged: Write = (attempt) => {
    const stream = attempt.stream();
    return (text) => stream.write(text);
  };
  const measured = await pairs(
    () => run(context, database, { ...shared, name: 'per token', write: perToken }),
    () => run(context, database, { ...shared, name: 'merged', write: merged }),
    2,
  );
  const path = `${streams} token streams at ${TOKENS_PER_SECOND}/s, merged beside an event per token`;
  report.compare(measured, { path, variant: 'appends', figure: 'events', unit: 'events/s' });
  report.compare(measured, { path, variant: 'CPU of the process', figure: 'cpu', unit: 'cores' });
  report.compare(measured, { path, variant: 'first token of an event → delivered, p50', figure: 'p50', unit: 'ms' });
  report.compare(measured, { path, variant: 'first token of an event → delivered, p99', figure: 'p99', unit: 'ms' });
});
