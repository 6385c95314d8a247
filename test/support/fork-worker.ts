import { type ChildProcess, fork } from 'node:child_process';
import path from 'node:path';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { eventually } from './task-instance.js';
import type { WorkerMessage } from './worker-process.js';

/** A process of its own that runs tasks of the type `job` until they are aborted. */
export class ForkedWorker {
  readonly messages: WorkerMessage[] = [];
  private readonly child: ChildProcess;
  private output = '';

  private constructor(url: string, options: TaskBridgeOptions) {
    const support = path.join(process.cwd(), 'test/support');
    this.child = fork(path.join(support, 'worker-process.ts'), [url, JSON.stringify(options)], {
      execArgv: ['--no-warnings', '--import', path.join(support, 'typescript-loader.mjs')],
      silent: true,
    });
    this.child.on('message', (message) => this.messages.push(message as WorkerMessage));
    this.child.stderr?.on('data', (text) => (this.output += String(text)));
  }

  /** Resolves once it claims tasks. */
  static async start(database: { url: string }, options: TaskBridgeOptions): Promise<ForkedWorker> {
    const worker = new ForkedWorker(database.url, options);
    await worker.told('ready');
    return worker;
  }

  async told<K extends WorkerMessage['kind']>(kind: K): Promise<Extract<WorkerMessage, { kind: K }>> {
    const find = () => this.messages.find((message) => message.kind === kind);
    await eventually(() => find() !== undefined || this.child.exitCode !== null, 30_000);
    const message = find();
    if (message === undefined) throw new Error(`The worker exited before it was ${kind}:\n${this.output}`);
    return message as Extract<WorkerMessage, { kind: K }>;
  }

  /** Resolves when it is gone, unless the signal only pauses it. */
  async signal(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    this.child.kill(signal);
    if (signal === 'SIGSTOP' || signal === 'SIGCONT') return;
    await eventually(() => this.child.exitCode !== null || this.child.signalCode !== null, 30_000);
  }
}
