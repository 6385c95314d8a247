import { type BareServer, openBareServer } from './support/bare-server.js';
import { BareNotifier } from './support/bare-notifier.js';
import type { FollowerKind } from './support/bench-follower.js';
import { attemptsOf, openInstance, reportTo } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import type { BenchDatabase } from './support/bench-database.js';
import { type FollowerGroup, FollowerProcess } from './support/follower-group.js';
import { GroupCommit, recordsOf } from './support/group-commit.js';
import { bareEnvelope } from './support/live-events.js';
import { nowUs, openLoop } from './support/load.js';
import { benchPayload } from './support/payload.js';
import { atMost, atMostMore, type Figures } from './support/report.js';
import { ServerProcess } from './support/server-process.js';
import { bareTarget, ourTarget } from './support/targets.js';

// From the call that appends to the client's socket: durable first, delivered then. Each task has one follower.

const TASKS = 100;

type Append = (task: number) => Promise<unknown>;

class Delivery {
  constructor(
    private readonly context: BenchContext,
    readonly database: BenchDatabase,
    private readonly clients: FollowerProcess,
  ) {}

  /** Appends by hand; `deliver` is called with what is durable. */
  async byHand(taskIds: readonly string[], deliver: (taskId: string, envelope: string) => void): Promise<Append> {
    const commit = await GroupCommit.open(this.database.url, this.database.tables);
    this.context.defer(() => commit.close());
    const records = taskIds.map(recordsOf);
    return async (task) => {
      const [record, taskId] = [records[task], taskIds[task]];
      if (record === undefined || taskId === undefined) return;
      const envelope = bareEnvelope(taskId, 1);
      await commit.append(record(JSON.stringify(benchPayload())));
      deliver(taskId, envelope);
    };
  }

  group(name: string, taskIds: readonly string[], target: (taskId: string) => ReturnType<typeof ourTarget>) {
    return this.clients.group(name, taskIds.map(target), { timedEvery: 1 });
  }

  async measure(group: FollowerGroup, rate: number, append: Append): Promise<Figures> {
    await group.start(1);
    const total = await openLoop(rate, this.context.scale(1_200, 200), (call) => append(call % TASKS));
    await group.reached(total);
    const { p50, p99 } = await group.result();
    return { p50, p99 };
  }
}

async function sameInstance(context: BenchContext, delivery: Delivery, server: BareServer): Promise<void> {
  const { database } = delivery;
  const app = await openInstance(context, database);
  const bareIds = await database.tasks(TASKS);
  const send = (taskId: string, envelope: string): void => server.send('websocket', taskId, Buffer.from(envelope));
  const bareAppend = await delivery.byHand(bareIds, send);
  const bare = await delivery.group('bare', bareIds, (taskId) => bareTarget(server.port, 'websocket', taskId));
  for (const kind of ['sse', 'websocket'] satisfies FollowerKind[]) {
    const taskIds = await database.tasks(TASKS);
    const attempts = attemptsOf(app, taskIds);
    const ours = await delivery.group(`ours ${kind}`, taskIds, (taskId) => ourTarget(app.origin, kind, taskId));
    const rate = context.scale(1_000, 100);
    const measured = await context.pairs(
      () => delivery.measure(bare, rate, bareAppend),
      () => delivery.measure(ours, rate, (task) => reportTo(attempts[task], `t=${nowUs()}`)),
    );
    const path = 'append → delivered, same instance';
    const variant = `${rate.toLocaleString('en')} events/s, ${kind}`;
    const p50 = { path, variant: `${variant}, p50`, figure: 'p50', unit: 'ms', reach: atMostMore(1) };
    context.report.compare(measured, p50);
    context.report.compare(measured, { path, variant: `${variant}, p99`, figure: 'p99', unit: 'ms' });
  }
}

async function otherInstance(context: BenchContext, delivery: Delivery): Promise<void> {
  const { database } = delivery;
  const app = await openInstance(context, database);
  const other = await ServerProcess.ours(context, database.url);
  const bareServer = await ServerProcess.bare(context);
  await bareServer.call('listen', database.url);
  const notifier = await BareNotifier.open(database.url);
  context.defer(() => notifier.close());

  const bareIds = await database.tasks(TASKS);
  const bareAppend = await delivery.byHand(bareIds, (taskId, envelope) => notifier.notify(taskId, envelope));
  const taskIds = await database.tasks(TASKS);
  const attempts = attemptsOf(app, taskIds);
  const append: Append = (task) => reportTo(attempts[task], `t=${nowUs()}`);
  const bare = await delivery.group('bare other', bareIds, (id) => bareTarget(bareServer.port, 'websocket', id));
  const ours = await delivery.group('ours other', taskIds, (id) => ourTarget(other.origin, 'websocket', id));
  for (const rate of context.scale([1_000, 5_000], [100])) {
    const measured = await context.pairs(
      () => delivery.measure(bare, rate, bareAppend),
      () => delivery.measure(ours, rate, append),
    );
    const path = 'append → delivered, other instance';
    const variant = `${rate.toLocaleString('en')} events/s`;
    for (const figure of ['p50', 'p99']) {
      const row = { path, variant: `${variant}, ${figure}`, figure, unit: 'ms', reach: atMost(1.5) };
      context.report.compare(measured, row);
    }
  }
}

defineBench(async (context) => {
  const server = await openBareServer();
  context.defer(() => server.close());
  const clients = await FollowerProcess.open(context);
  await sameInstance(context, new Delivery(context, await context.database(), clients), server);
  // A database of its own, where nobody else listens.
  await otherInstance(context, new Delivery(context, await context.database(), clients));
});
