import { setTimeout as sleep } from 'node:timers/promises';
import type { FollowerKind, FollowerTarget } from './support/bench-follower.js';
import { type BenchContext, defineBench } from './support/bench.js';
import { FollowerProcess } from './support/follower-group.js';
import { openFilesLimit } from './support/machine.js';
import { atMost, type Figures } from './support/report.js';
import { ServerProcess } from './support/server-process.js';
import { bareTarget, ourTarget } from './support/targets.js';

// What an open stream costs while nothing happens: memory and the CPU of heartbeats, per connection. Each side is a
// process of its own.

const OTHER_FILES = 500;
const BEAT_MS = 1_000;

async function measure(
  context: BenchContext,
  server: ServerProcess,
  clients: FollowerProcess,
  targets: FollowerTarget[],
): Promise<Figures> {
  // The first connection loads what all of them need.
  const first = await clients.group(`first of ${server.origin}`, targets.slice(0, 1));
  const before = await server.usage('settled');
  const group = await clients.group(`all of ${server.origin}`, targets);
  const after = await server.usage('settled');
  const windowMs = context.scale(2 * BEAT_MS, 100);
  const { cpuUs } = await server.usage();
  await sleep(windowMs);
  const cpu = (await server.usage()).cpuUs - cpuUs;
  await group.close();
  await first.close();
  await server.kill();
  const per = (bytes: number): number => bytes / targets.length / 1_024;
  return {
    rss: per(after.rssBytes - before.rssBytes),
    heap: per(after.heapBytes - before.heapBytes),
    cpu: cpu / targets.length / (windowMs / 1_000),
  };
}

defineBench(async (context) => {
  const { report, scale, pairs } = context;
  const followers = Math.min(scale(5_000, 50), (await openFilesLimit()) - OTHER_FILES);
  const database = await context.database();
  const taskIds = await database.tasks(followers);
  const clients = await FollowerProcess.open(context);
  const heartbeat = { heartbeatIntervalMs: BEAT_MS };
  const options = { streams: { sse: heartbeat, webSocket: heartbeat } };
  const ours = async (kind: FollowerKind, ids: readonly string[]): Promise<Figures> => {
    const server = await ServerProcess.ours(context, database.url, options);
    const targets = Array.from(taskIds, (_, index) => ourTarget(server.origin, kind, ids[index % ids.length] ?? ''));
    return measure(context, server, clients, targets);
  };
  const bare = async (kind: FollowerKind): Promise<Figures> => {
    const server = await ServerProcess.bare(context);
    await server.call('beatEvery', BEAT_MS);
    return measure(
      context,
      server,
      clients,
      taskIds.map((taskId) => bareTarget(server.port, kind, taskId)),
    );
  };
  const one = taskIds.slice(0, 1);
  const populations: [FollowerKind, string, string[]][] = [
    ['sse', 'of one task', one],
    ['websocket', 'of one task', one],
    ['websocket', 'of a task each', taskIds],
  ];
  for (const [kind, tasks, ids] of populations) {
    const measured = await pairs(
      () => bare(kind),
      () => ours(kind, ids),
      1,
    );
    const path = 'idle followers';
    const variant = `${followers.toLocaleString('en')} ${kind} ${tasks}`;
    report.compare(measured, { path, variant: `${variant}, heap`, figure: 'heap', unit: 'KiB', reach: atMost(2) });
    report.compare(measured, { path, variant: `${variant}, RSS`, figure: 'rss', unit: 'KiB', reach: atMost(2) });
    report.compare(measured, {
      path,
      variant: `${variant}, beat every ${BEAT_MS / 1_000} s`,
      figure: 'cpu',
      unit: 'µs CPU/s',
    });
  }
});
