import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const ROOT = process.cwd();

/** Where the tests build, apart from what `npm start` runs. Git ignores the folder. */
const BUILD = path.join(ROOT, '.data', 'sample-e2e');

/** Compiles the sample the way `npm start` does. */
export async function buildSample(): Promise<void> {
  await promisify(execFile)('npx', ['nest', 'build', 'sample', '--path', 'sample/tsconfig.e2e.json'], { cwd: ROOT });
}

/** One program of the built sample, running as a process of its own. */
export class SampleProcess {
  private output = '';
  private readonly child: ChildProcess;
  private readonly exit: Promise<number | NodeJS.Signals | null>;

  constructor(program: 'main' | 'demo', env: Record<string, string>, { args = [] as string[], cwd = ROOT } = {}) {
    const file = path.join(BUILD, 'sample', 'src', `${program}.js`);
    const { PATH = '' } = process.env;
    this.child = spawn(process.execPath, [file, ...args], {
      cwd,
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    }
    this.exit = once(this.child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null);
  }

  /** Everything printed so far. */
  get printed(): string {
    return this.output;
  }

  /** Resolves with the match once the process has printed it; rejects when it ends without, or after 40 s. */
  async prints(pattern: RegExp): Promise<RegExpExecArray> {
    for (const end = Date.now() + 40_000; Date.now() < end; await sleep(20)) {
      const match = pattern.exec(this.output);
      if (match !== null) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null) break;
    }
    throw new Error(`The process did not print ${String(pattern)}, but:\n${this.output}`);
  }

  /** The address that the sample printed when it was ready. */
  async url(): Promise<string> {
    return (await this.prints(/TaskBridge sample on (http:\S+)/))[1] ?? '';
  }

  /** Code or signal that it ended with. */
  exited(): Promise<number | NodeJS.Signals | null> {
    return this.exit;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | NodeJS.Signals | null> {
    this.child.kill(signal);
    return this.exit;
  }
}
