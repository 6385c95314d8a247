import { WakeUps } from '../lib/streams/wake-ups.js';
import type { StreamApp } from '../test/support/stream-app.js';
import { type BareServer, openBareServer } from './support/bare-server.js';
import type { FollowerKind } from './support/bench-follower.js';
import { attemptsOf, openInstance, reportTo, untilAlone } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import { type FollowerGroup, FollowerProcess } from './support/follower-group.js';
import { bareBytes, liveEvent } from './support/live-events.js';
import { nowUs, openLoop, withCpu } from './support/load.js';
import { openFilesLimit } from './support/machine.js';
import { atLeast, type Figures } from './support/report.js';
import { bareTarget, ourTarget } from './support/targets.js';

// One task followed by many. Throughput: events are handed to the live path as the append lane does, a few broadcasts
// ahead of the clients, beside a loop over bare sockets that sends a pre-built buffer. Latency: durable appends at a
// fixed rate, beside bare broadcasts at the same rate.

/** Broadcasts that may be on their way to the clients. */
const WINDOW = 4;
const DELIVERIES_PER_RUN = 75_000;
const PACED_DELIVERIES_PER_SECOND = 20_000;
/** Clients whose latency is read. */
const SAMPLES = 50;
/** Sockets of each side, in each of the two processes, and what else is open. */
const FILES_PER_FOLLOWER = 2;
const OTHER_FILES = 500;

interface Sides {
  ours: FollowerGroup;
  bare: FollowerGroup;
}

class FanOut {
  /** Number of the last event of the task. */
  private seq = 0;
  private bareSeq = 0;
  private readonly attempt;

  constructor(
    private readonly app: StreamApp,
    private readonly server: BareServer,
    private readonly kind: FollowerKind,
    private readonly taskId: string,
    private readonly sides: Sides,
  ) {
    [this.attempt] = attemptsOf(app, [taskId]);
  }

  /** Must come before `broadcastOurs`, whose events are not in the log. */
  pacedOurs(rate: number, durationMs: number): Promise<Figures> {
    return this.paced(this.sides.ours, rate, durationMs, () => {
      this.seq += 1;
      return reportTo(this.attempt, `t=${nowUs()}`);
    });
  }

  pacedBare(rate: number, durationMs: number): Promise<Figures> {
    return this.paced(this.sides.bare, rate, durationMs, async () => this.sendBare());
  }

  broadcastOurs(events: number): Promise<Figures> {
    const wakeUps = this.app.get(WakeUps);
    return this.broadcast(this.sides.ours, events, () => {
      this.seq += 1;
      wakeUps.publishEvents([liveEvent(this.taskId, this.seq)]);
    });
  }

  broadcastBare(events: number): Promise<Figures> {
    return this.broadcast(this.sides.bare, events, () => this.sendBare());
  }

  private sendBare(): void {
    this.bareSeq += 1;
    this.server.send(this.kind, this.taskId, bareBytes(this.kind, this.taskId, this.bareSeq));
  }

  private async paced(
    group: FollowerGroup,
    rate: number,
    durationMs: number,
    send: () => Promise<unknown>,
  ): Promise<Figures> {
    await group.start();
    await group.reached(await openLoop(rate, durationMs, send));
    const { p50, p99 } = await group.result();
    return { p50, p99 };
  }

  private async broadcast(group: FollowerGroup, events: number, send: () => void): Promise<Figures> {
    await group.start();
    const startedUs = nowUs();
    const { cpuUs } = await withCpu(async () => {
      for (let sent = 0; sent < events; sent += 1) {
        if (sent >= WINDOW) await group.reached(sent - WINDOW + 1);
        send();
        await new Promise(setImmediate);
      }
      await group.reached(events);
    });
    const { lastAtUs } = await group.result();
    const deliveries = events * group.size;
    return { rate: (deliveries * 1e6) / (lastAtUs - startedUs), cpu: cpuUs / deliveries };
  }
}

async function measure(
  context: BenchContext,
  fanOut: FanOut,
  { kind, followers }: { kind: FollowerKind; followers: number },
): Promise<void> {
  const { report, pairs, scale } = context;
  const variant = `${followers.toLocaleString('en')} ${kind} followers`;
  const pace = PACED_DELIVERIES_PER_SECOND / followers;
  const durationMs = scale(1_000, 100);
  const latency = await pairs(
    () => fanOut.pacedBare(pace, durationMs),
    () => fanOut.pacedOurs(pace, durationMs),
    1,
  );
  const paced = { path: 'fan-out at 20,000 deliveries/s, durable append included', variant };
  report.compare(latency, { ...paced, figure: 'p99', unit: 'ms p99' });
  const events = scale(Math.ceil(DELIVERIES_PER_RUN / followers), 5);
  const throughput = await pairs(
    () => fanOut.broadcastBare(events),
    () => fanOut.broadcastOurs(events),
  );
  const path = 'fan-out of one task';
  report.compare(throughput, { path, variant, figure: 'rate', unit: 'deliveries/s', reach: atLeast(0.8) });
  report.compare(throughput, { path, variant, figure: 'cpu', unit: 'µs CPU/delivery' });
}

defineBench(async (context) => {
  const database = await context.database();
  const app = await openInstance(context, database);
  const server = await openBareServer();
  context.defer(() => server.close());
  const clients = await FollowerProcess.open(context);
  await untilAlone(context, app);
  const filesLimit = await openFilesLimit();
  for (const followers of context.scale([100, 1_000, 5_000], [20])) {
    if (followers * FILES_PER_FOLLOWER + OTHER_FILES > filesLimit) {
      console.log(`${followers} followers need a larger limit of open files than ${filesLimit}`);
      continue;
    }
    for (const kind of ['sse', 'websocket'] as const) {
      const [taskId = ''] = await database.tasks(1);
      const timedEvery = Math.ceil(followers / SAMPLES);
      const ours = Array.from({ length: followers }, () => ourTarget(app.origin, kind, taskId));
      const bare = Array.from({ length: followers }, () => bareTarget(server.port, kind, taskId));
      const sides = {
        ours: await clients.group(`ours ${kind} ${followers}`, ours, { timedEvery }),
        bare: await clients.group(`bare ${kind} ${followers}`, bare, { timedEvery }),
      };
      await measure(context, new FanOut(app, server, kind, taskId, sides), { kind, followers });
      await sides.ours.close();
      await sides.bare.close();
    }
  }
});
