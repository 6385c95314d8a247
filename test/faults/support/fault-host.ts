import { once } from 'node:events';
import type { TaskBridgeOptions } from '../../../lib/taskbridge.options.js';
import { ChildCalls } from './child-calls.js';
import type { CrashPoint } from './crash-points.js';
import { type ForkedTypeScript, forkTypeScript } from './fork-typescript.js';

export interface BootOptions {
  databaseUrl: string;
  /** How far this instance's clock is beside the database's. @default 0 */
  clockOffsetMs?: number;
  /** Dies here, once it listens. */
  crashAt?: CrashPoint;
  /** The pool's `query_timeout`. @default none */
  queryTimeoutMs?: number;
  options: TaskBridgeOptions;
}

/** An instance of an app in a process of its own, which tests kill, pause, and lead to its death. */
export class FaultHost {
  /** Where it listens; empty until it has booted. */
  url = '';
  private readonly calls: ChildCalls;
  private readonly loaded: Promise<unknown>;

  private constructor(private readonly child: ForkedTypeScript) {
    this.calls = new ChildCalls(child.process);
    this.loaded = once(child.process, 'message');
  }

  /** Starts the process, which loads its code and waits: most of a boot's time is spent on that. */
  static prepare(): FaultHost {
    return new FaultHost(forkTypeScript('test/faults/support/fault-host-process.ts'));
  }

  async boot(options: BootOptions): Promise<this> {
    const died = this.child.exited.then((end) =>
      Promise.reject(new Error(`The instance ended with ${end} at its boot:\n${this.child.output()}`)),
    );
    await Promise.race([this.loaded, died]);
    this.url = String(await Promise.race([this.calls.call('boot', options), died]));
    died.catch(() => undefined);
    return this;
  }

  /** Resolves when the process has gone, with its exit code or signal. */
  get exited(): Promise<number | string> {
    return this.child.exited;
  }

  get output(): string {
    return this.child.output();
  }

  skewClock(byMs: number): Promise<unknown> {
    return this.calls.call('skewClock', byMs);
  }

  armCrash(point: CrashPoint): Promise<unknown> {
    return this.calls.call('armCrash', point);
  }

  pause(): void {
    this.child.process.kill('SIGSTOP');
  }

  /** Ends a pause. */
  wake(): void {
    this.child.process.kill('SIGCONT');
  }

  /** A paused process takes no other signal than SIGKILL before it wakes. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string> {
    this.child.process.kill(signal);
    return this.exited;
  }
}
