import { openInstance } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import { BareReplay } from './support/bare-replay.js';
import { fillLog } from './support/fill-log.js';
import type { FollowerTarget } from './support/bench-follower.js';
import { FollowerProcess } from './support/follower-group.js';
import { nowUs } from './support/load.js';
import { atLeast, atMostMore, type Figures } from './support/report.js';
import { ourTarget } from './support/targets.js';

// One reader takes a whole log, beside keyset reads that are written straight to the socket.

const MIB = 2 ** 20;

/** By how much the resident set of this process grows at most during `work`. */
async function withMemory(work: () => Promise<void>): Promise<number> {
  global.gc?.();
  const before = process.memoryUsage.rss();
  let peak = before;
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 10);
  await work();
  clearInterval(timer);
  return (peak - before) / MIB;
}

async function measured(events: number, read: () => Promise<number>): Promise<Figures> {
  let tookUs = 0;
  const memory = await withMemory(async () => {
    const startedUs = nowUs();
    tookUs = (await read()) - startedUs;
  });
  return { rate: (events * 1e6) / tookUs, memory };
}

function readers({ scale }: BenchContext, clients: FollowerProcess, events: number) {
  const batch = scale(100, 10);
  const stream = (target: FollowerTarget): Promise<Figures> =>
    measured(events, async () => {
      const group = await clients.group(`replay ${nowUs()}`, [target], { step: batch });
      await group.reached(events / batch);
      const { lastAtUs } = await group.result();
      await group.close();
      return lastAtUs;
    });
  const poll = (port: number, path: string): Promise<Figures> =>
    measured(events, async () => {
      await clients.calls.call('pollAll', { port, path, events });
      return nowUs();
    });
  return { stream, poll };
}

defineBench(async (context) => {
  const { report, pairs, scale } = context;
  const events = scale(100_000, 1_000);
  const database = await context.database();
  const [taskId = ''] = await database.tasks(1);
  await fillLog(database, taskId, events);
  await database.query(`vacuum analyze ${database.tables.events}`);
  const app = await openInstance(context, database);
  const bare = await BareReplay.open(database.url, database.tables, taskId);
  context.defer(() => bare.close());
  const { stream, poll } = readers(context, await FollowerProcess.open(context), events);
  const ourPort = Number(new URL(app.origin).port);
  const sides = {
    SSE: [
      () => stream({ kind: 'sse', port: bare.port, path: '/sse' }),
      () => stream(ourTarget(app.origin, 'sse', taskId)),
    ],
    WebSocket: [
      () => stream({ kind: 'websocket', port: bare.port, path: '/ws' }),
      () => stream(ourTarget(app.origin, 'websocket', taskId)),
    ],
    polling: [() => poll(bare.port, '/poll'), () => poll(ourPort, `/api/v1/tasks/${taskId}/events`)],
  } as const;
  for (const [transport, [limit, ours]] of Object.entries(sides)) {
    const path = `replay of ${events.toLocaleString('en')} events`;
    // Before anything else has made the process grow.
    report.figure(path, `${transport}, memory growth of the first`, 'MiB', (await ours())['memory'] ?? NaN);
    const result = await pairs(limit, ours);
    report.compare(result, { path, variant: transport, figure: 'rate', unit: 'events/s', reach: atLeast(0.8) });
    report.compare(result, {
      path,
      variant: `${transport}, memory growth`,
      figure: 'memory',
      unit: 'MiB',
      reach: atMostMore(16),
    });
  }
});
