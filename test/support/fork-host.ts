import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';

/** A host's app in a process of its own. */
export interface ForkedHost {
  url: string;
  /** What it has written to stderr. */
  readonly errors: string;
  /** Sends the signal; resolves with the exit code, or the signal that ended it. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string>;
}

/** Resolves once it listens. */
export async function forkHost(database: { url: string }, options: TaskBridgeOptions = {}): Promise<ForkedHost> {
  const support = path.join(process.cwd(), 'test/support');
  const child: ChildProcess = fork(path.join(support, 'host-process.ts'), [database.url, JSON.stringify(options)], {
    execArgv: ['--no-warnings', '--import', path.join(support, 'typescript-loader.mjs')],
    silent: true,
  });
  let errors = '';
  child.stderr?.on('data', (text) => (errors += String(text)));
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  const ready = once(child, 'message').then(([message]) => (message as { url: string }).url);
  const url = await Promise.race([
    ready,
    exited.then((code) => Promise.reject(new Error(`The host exited with ${code} before it listened:\n${errors}`))),
  ]);
  return {
    url,
    get errors() {
      return errors;
    },
    end: (signal) => {
      child.kill(signal);
      return exited;
    },
  };
}
