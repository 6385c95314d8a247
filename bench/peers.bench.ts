import { Queue, QueueEvents, Worker } from 'bullmq';
import { TaskEventStream } from '../lib/streams/task-event-stream.js';
import { attemptsOf, openInstance, reportTo } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import { latencies } from './support/figures.js';
import { closedLoop, nowUs, openLoop } from './support/load.js';
import { benchPayload } from './support/payload.js';
import { openRedis } from './support/redis-server.js';
import type { Figures } from './support/report.js';

// Progress from a running job to a listener in the same process: BullMQ's QueueEvents over Redis, beside `events$`.
// Redis as it starts by itself keeps a progress in memory; ours is on disk before anybody sees it.

const TASKS = 100;
const TIME = /t=(\d+)/;

/** Reports to one of the tasks, and whoever hears of it. */
interface Side {
  report(task: number, text: string): Promise<unknown>;
  onReport: (message: string) => void;
}

async function ours(context: BenchContext): Promise<Side> {
  const database = await context.database();
  const app = await openInstance(context, database);
  const taskIds = await database.tasks(TASKS);
  const attempts = attemptsOf(app, taskIds);
  const side: Side = { report: (task, text) => reportTo(attempts[task], text), onReport: () => undefined };
  for (const taskId of taskIds) {
    const subscription = app
      .get(TaskEventStream)
      .events$(taskId)
      .subscribe({
        next: (event) => side.onReport(event.type === 'TASK_PROGRESS' ? (event.payload.message ?? '') : ''),
      });
    context.defer(() => subscription.unsubscribe());
  }
  return side;
}

async function bullmq(context: BenchContext, connection: { host: string; port: number }): Promise<Side> {
  const name = 'bench';
  const queue = new Queue(name, { connection });
  const events = new QueueEvents(name, { connection });
  const jobs: { updateProgress(progress: object): Promise<void> }[] = [];
  let finish: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  await events.waitUntilReady();
  const worker = new Worker(name, (job) => (jobs.push(job), finished), { connection, concurrency: TASKS });
  await queue.addBulk(Array.from({ length: TASKS }, () => ({ name: 'task', data: {} })));
  while (jobs.length < TASKS) await new Promise((resolve) => setTimeout(resolve, 5));
  context.defer(async () => {
    finish();
    await Promise.all([worker.close(), queue.close(), events.close()]);
  });
  const side: Side = {
    report: (task, text) => jobs[task]?.updateProgress(benchPayload(text)) ?? Promise.reject(new Error('No job')),
    onReport: () => undefined,
  };
  events.on('progress', ({ data }) => side.onReport((data as { message: string }).message));
  return side;
}

async function latency({ scale }: BenchContext, side: Side): Promise<Figures> {
  const times: number[] = [];
  side.onReport = (message) => {
    const producedUs = TIME.exec(message)?.[1];
    if (producedUs !== undefined) times.push((nowUs() - Number(producedUs)) / 1_000);
  };
  const total = await openLoop(scale(1_000, 100), scale(1_500, 200), (call) =>
    side.report(call % TASKS, `t=${nowUs()}`),
  );
  while (times.length < total) await new Promise((resolve) => setTimeout(resolve, 5));
  return latencies(times);
}

/** Reports that arrive per second while every task reports as fast as it can. */
async function throughput({ scale }: BenchContext, side: Side): Promise<Figures> {
  const count = { sent: 0, received: 0 };
  side.onReport = () => (count.received += 1);
  const startMs = performance.now();
  await closedLoop(TASKS, scale(1_500, 200), (task) => {
    count.sent += 1;
    return side.report(task, '');
  });
  while (count.received < count.sent) await new Promise((resolve) => setTimeout(resolve, 5));
  return { rate: (count.received * 1_000) / (performance.now() - startMs) };
}

defineBench(async (context) => {
  const { report, pairs } = context;
  const connection = await openRedis(context);
  if (connection === undefined) {
    console.log('redis-server is not installed: BullMQ is not measured');
    report.figure('progress to a listener', 'BullMQ was not measured: no redis-server', '', 0);
    return;
  }
  const [own, peer] = [await ours(context), await bullmq(context, connection)];
  const path = 'progress to a listener, beside BullMQ over Redis';
  const timed = await pairs(
    () => latency(context, peer),
    () => latency(context, own),
  );
  report.compare(timed, { path, variant: '1,000 events/s, p50', figure: 'p50', unit: 'ms' });
  report.compare(timed, { path, variant: '1,000 events/s, p99', figure: 'p99', unit: 'ms' });
  const full = await pairs(
    () => throughput(context, peer),
    () => throughput(context, own),
  );
  report.compare(full, { path, variant: `${TASKS} tasks, flat out`, figure: 'rate', unit: 'events/s' });
});
