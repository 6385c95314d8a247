import { once } from 'node:events';
import { ChildCalls } from '../../test/faults/support/child-calls.js';
import { type ForkedTypeScript, forkTypeScript } from '../../test/faults/support/fork-typescript.js';
import type { FollowerTarget } from './bench-follower.js';
import type { BenchContext } from './bench.js';
import type { GroupResult } from './follower-process.js';

interface Progress {
  group: string;
  steps: number;
}

/** The process that holds the clients of one benchmark. */
export class FollowerProcess {
  private constructor(
    readonly child: ForkedTypeScript,
    readonly calls: ChildCalls,
  ) {}

  static async open(context: BenchContext): Promise<FollowerProcess> {
    const child = forkTypeScript('bench/support/follower-process.ts');
    await once(child.process, 'message');
    context.defer(async () => {
      child.process.kill('SIGKILL');
      await child.exited;
    });
    return new FollowerProcess(child, new ChildCalls(child.process));
  }

  /** Connects a client per target and resolves when all of them are subscribed. */
  async group(
    name: string,
    targets: FollowerTarget[],
    { timedEvery = 0, step = null }: { timedEvery?: number; step?: number | null } = {},
  ): Promise<FollowerGroup> {
    const group = new FollowerGroup(this, name, targets.length);
    await this.calls.call('open', { name, targets, timedEvery, step });
    return group;
  }
}

/** Some clients of that process, counted together. */
export class FollowerGroup {
  private steps = 0;
  private wake: () => void = () => undefined;
  private readonly onMessage = ({ group, steps }: Progress): void => {
    if (group !== this.name) return;
    this.steps = steps;
    this.wake();
  };

  constructor(
    private readonly owner: FollowerProcess,
    private readonly name: string,
    readonly size: number,
  ) {
    owner.child.process.on('message', this.onMessage);
  }

  /** Counts from zero; `eventsPerStep` is what one step of `reached` means, over all clients. */
  async start(eventsPerStep = this.size): Promise<void> {
    this.steps = 0;
    await this.owner.calls.call('start', { name: this.name, step: eventsPerStep });
  }

  /** Resolves when that many steps have arrived; rejects when nothing arrives for half a minute. */
  async reached(steps: number): Promise<void> {
    while (this.steps < steps) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve, reject) => {
        this.wake = resolve;
        timer = setTimeout(() => reject(new Error(`${this.name}: ${this.steps} of ${steps} steps arrived`)), 30_000);
      });
      clearTimeout(timer);
    }
  }

  async result(): Promise<GroupResult> {
    return (await this.owner.calls.call('result', this.name)) as GroupResult;
  }

  async close(): Promise<void> {
    this.owner.child.process.off('message', this.onMessage);
    await this.owner.calls.call('close', this.name);
  }
}
