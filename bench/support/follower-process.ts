import { answerCalls } from '../../test/faults/support/child-calls.js';
import { BenchFollower, type FollowerTarget } from './bench-follower.js';
import { percentile } from './figures.js';
import { createTasks, pollAll } from './http-load.js';
import { nowUs } from './load.js';
import { stall } from './stalled-client.js';

// Clients in a process of their own, in named groups; told what to do by `FollowerGroup`.

export interface GroupOpening {
  name: string;
  targets: FollowerTarget[];
  /** Reads the times in what every so-many-th client receives; 0 for none. */
  timedEvery: number;
  /** Counts from the connection on; see `start`. */
  step: number | null;
}

export interface GroupResult {
  received: number;
  /** When the last event arrived, on the machine's monotonic clock. */
  lastAtUs: number;
  p50: number;
  p99: number;
  cpuUs: number;
}

/** Sockets connect in groups that fit the listen backlog. */
const CONNECTING = 200;

class Group {
  readonly followers: BenchFollower[] = [];
  private isOpen: boolean[] = [];
  private onOpen: () => void = () => undefined;
  private received = 0;
  private lastAtUs = 0;
  private times: number[] = [];
  private cpu = process.cpuUsage();
  /** Told whenever so many more events have come. */
  private step: number;
  private told = 0;

  constructor(private readonly opening: GroupOpening) {
    this.step = opening.step ?? Infinity;
  }

  async open(): Promise<void> {
    const { targets } = this.opening;
    for (let start = 0; start < targets.length; start += CONNECTING) {
      const some = targets.slice(start, start + CONNECTING);
      await new Promise<void>((resolve) => {
        let left = some.length;
        this.onOpen = () => (left -= 1) === 0 && resolve();
        for (const target of some) this.connect(target);
      });
    }
  }

  start(step: number): void {
    this.received = 0;
    this.told = 0;
    this.times = [];
    this.step = step;
    this.cpu = process.cpuUsage();
  }

  result(): GroupResult {
    const { user, system } = process.cpuUsage(this.cpu);
    const { received, lastAtUs, times } = this;
    return { received, lastAtUs, p50: percentile(times, 0.5), p99: percentile(times, 0.99), cpuUs: user + system };
  }

  private connect(target: FollowerTarget): void {
    const index = this.followers.length;
    const opened = (): void => {
      if (this.isOpen[index]) return;
      this.isOpen[index] = true;
      this.onOpen();
    };
    const observer = { opened, received: (ms: number | undefined) => this.take(ms), closed: opened };
    const { timedEvery } = this.opening;
    this.followers.push(new BenchFollower(target, observer, timedEvery > 0 && index % timedEvery === 0));
  }

  private take(latencyMs: number | undefined): void {
    this.received += 1;
    if (latencyMs !== undefined) this.times.push(latencyMs);
    if (this.received < (this.told + 1) * this.step) return;
    this.lastAtUs = nowUs();
    this.told = Math.floor(this.received / this.step);
    process.send?.({ group: this.opening.name, steps: this.told });
  }
}

const groups = new Map<string, Group>();

function groupOf(name: string): Group {
  const group = groups.get(name);
  if (group === undefined) throw new Error(`There is no group ${name}`);
  return group;
}

answerCalls({
  open: async (opening: GroupOpening) => {
    const group = new Group(opening);
    groups.set(opening.name, group);
    await group.open();
  },
  start: ({ name, step }: { name: string; step: number }) => groupOf(name).start(step),
  createTasks,
  pollAll,
  stall,
  result: (name: string) => groupOf(name).result(),
  close: (name: string) => {
    for (const follower of groupOf(name).followers) follower.destroy();
    groups.delete(name);
  },
});
process.send?.({ call: 0, value: null });
