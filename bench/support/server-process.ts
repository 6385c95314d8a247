import { once } from 'node:events';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { ChildCalls } from '../../test/faults/support/child-calls.js';
import { type ForkedTypeScript, forkTypeScript } from '../../test/faults/support/fork-typescript.js';
import type { BenchContext } from './bench.js';
import type { Usage } from './instance-process.js';

/** One server in a process of its own. */
export class ServerProcess {
  origin = '';

  private constructor(
    private readonly child: ForkedTypeScript,
    private readonly calls: ChildCalls,
  ) {}

  /** An instance of the module on this database. */
  static async ours(
    context: BenchContext,
    databaseUrl: string,
    options: TaskBridgeOptions = {},
  ): Promise<ServerProcess> {
    return ServerProcess.open(context, 'bootOurs', { ...options, databaseUrl });
  }

  /** `node:http` and `ws`. */
  static async bare(context: BenchContext): Promise<ServerProcess> {
    return ServerProcess.open(context, 'bootBare', null);
  }

  private static async open(context: BenchContext, boot: string, argument: unknown): Promise<ServerProcess> {
    const child = forkTypeScript('bench/support/instance-process.ts', ['--expose-gc']);
    await Promise.race([
      once(child.process, 'message'),
      child.exited.then(() => Promise.reject(new Error(child.output()))),
    ]);
    const server = new ServerProcess(child, new ChildCalls(child.process));
    context.defer(() => server.kill());
    server.origin = String(await server.calls.call(boot, argument));
    return server;
  }

  get port(): number {
    return Number(new URL(this.origin).port);
  }

  async call(name: 'listen' | 'watchMemory' | 'beatEvery', argument: unknown = null): Promise<void> {
    await this.calls.call(name, argument);
  }

  async peakRss(): Promise<number> {
    return Number(await this.calls.call('peakRss'));
  }

  /** `settled`: after the collector has run. */
  async usage(kind: 'usage' | 'settled' = 'usage'): Promise<Usage> {
    return (await this.calls.call(kind)) as Usage;
  }

  /** At once, as a crash would. */
  async kill(): Promise<void> {
    this.child.process.kill('SIGKILL');
    await this.child.exited;
  }
}
