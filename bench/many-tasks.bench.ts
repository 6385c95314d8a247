import { WakeUps } from '../lib/streams/wake-ups.js';
import { openBareServer } from './support/bare-server.js';
import { attemptsOf, openInstance, reportTo } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import { type FollowerGroup, FollowerProcess } from './support/follower-group.js';
import { bareBytes, liveEvent } from './support/live-events.js';
import { nowUs, openLoop, withCpu } from './support/load.js';
import { atLeast, type Figures } from './support/report.js';
import { bareTarget, ourTarget } from './support/targets.js';

// Many tasks with one follower each. At a fixed rate: durable appends beside bare sends. At full speed: one event of
// every task at a time, handed to the live path as the append lane does, beside bare sends of the same frames.

const WINDOW = 2;

async function paced(
  { scale }: BenchContext,
  group: FollowerGroup,
  send: (task: number) => Promise<unknown>,
): Promise<Figures> {
  const [rate, durationMs] = [scale(10_000, 500), scale(1_500, 200)];
  await group.start(10);
  const startedUs = nowUs();
  const total = await openLoop(rate, durationMs, (call) => send(call % group.size));
  await group.reached(Math.floor(total / 10));
  const { p50, p99, lastAtUs } = await group.result();
  return { rate: (total * 1e6) / (lastAtUs - startedUs), p50, p99 };
}

async function flatOut(context: BenchContext, group: FollowerGroup, sendAll: () => void): Promise<Figures> {
  const rounds = context.scale(100, 5);
  await group.start();
  const startedUs = nowUs();
  const { cpuUs } = await withCpu(async () => {
    for (let round = 0; round < rounds; round += 1) {
      if (round >= WINDOW) await group.reached(round - WINDOW + 1);
      sendAll();
      await new Promise(setImmediate);
    }
    await group.reached(rounds);
  });
  const { lastAtUs } = await group.result();
  const deliveries = rounds * group.size;
  return { rate: (deliveries * 1e6) / (lastAtUs - startedUs), cpu: cpuUs / deliveries };
}

defineBench(async (context) => {
  const { report, pairs, scale } = context;
  const tasks = scale(1_000, 20);
  const database = await context.database();
  const app = await openInstance(context, database);
  const server = await openBareServer();
  context.defer(() => server.close());
  const clients = await FollowerProcess.open(context);
  const taskIds = await database.tasks(tasks);
  const attempts = attemptsOf(app, taskIds);
  const ours = taskIds.map((taskId) => ourTarget(app.origin, 'websocket', taskId));
  const bare = taskIds.map((taskId) => bareTarget(server.port, 'websocket', taskId));
  const ourGroup = await clients.group('ours', ours, { timedEvery: 10 });
  const bareGroup = await clients.group('bare', bare, { timedEvery: 10 });
  const seqs = taskIds.map(() => 0);
  const next = (task: number): number => (seqs[task] = (seqs[task] ?? 0) + 1);
  const sendBare = (taskId: string): void => server.send('websocket', taskId, bareBytes('websocket', taskId, 1));

  const variant = `${tasks.toLocaleString('en')} tasks, a follower each`;
  const fixed = await pairs(
    () => paced(context, bareGroup, async (task) => sendBare(taskIds[task] ?? '')),
    () => paced(context, ourGroup, (task) => (next(task), reportTo(attempts[task], `t=${nowUs()}`))),
  );
  const path = 'many tasks, 10,000 durable events/s';
  report.compare(fixed, { path, variant, figure: 'rate', unit: 'deliveries/s', reach: atLeast(0.6) });
  report.compare(fixed, { path, variant: `${variant}, p99`, figure: 'p99', unit: 'ms' });

  const wakeUps = app.get(WakeUps);
  const full = await pairs(
    () => flatOut(context, bareGroup, () => taskIds.forEach(sendBare)),
    () =>
      flatOut(context, ourGroup, () =>
        wakeUps.publishEvents(taskIds.map((taskId, task) => liveEvent(taskId, next(task)))),
      ),
  );
  const fullPath = 'many tasks, delivery flat out';
  report.compare(full, { path: fullPath, variant, figure: 'rate', unit: 'deliveries/s', reach: atLeast(0.6) });
  report.compare(full, { path: fullPath, variant, figure: 'cpu', unit: 'µs CPU/delivery' });
});
