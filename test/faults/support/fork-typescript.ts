import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const LOADER = path.join(process.cwd(), 'test/support/typescript-loader.mjs');
/** Of what a process writes, the end is kept. */
const MAX_OUTPUT = 20_000;

export interface ForkedTypeScript {
  readonly process: ChildProcess;
  readonly exited: Promise<number | string>;
  /** The end of what it has written. */
  output(): string;
}

/** Runs a TypeScript file of the repository in a process of its own, with an IPC channel. */
export function forkTypeScript(file: string, execArgv: readonly string[] = []): ForkedTypeScript {
  const child = fork(path.join(process.cwd(), file), [], {
    execArgv: ['--no-warnings', '--import', LOADER, ...execArgv],
    silent: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (text) => (output = (output + String(text)).slice(-MAX_OUTPUT)));
  }
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | string);
  return { process: child, exited, output: () => output };
}
