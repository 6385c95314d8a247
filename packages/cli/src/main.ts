import { text } from 'node:stream/consumers';
import { run } from './command-line.js';
import { describeError } from './describe-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { printable } from './printable.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SHOW_CURSOR = '\u001B[?25h';
const ASSUMED_SIZE = { columns: 80, rows: 24 };
const { stdin, stdout, stderr } = process;
const terminal = stdin.isTTY && stdout.isTTY ? { input: stdin, output: stdout } : undefined;

if (terminal) {
  assumeSize();
  stdout.on('resize', assumeSize);
}
stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever reads the output has seen enough: `taskbridge tail … | head`.
  if (error.code === 'EPIPE') process.exit(EXIT_CODES.unread);
  fail(`The output cannot be written: ${error.message}`);
});
// Nobody reads what it says beside its results; what it does is the same.
stderr.on('error', () => undefined);
// Its own exit code would be that of a failed task.
process.on('uncaughtException', (error) => fail(describeError(error)));

let lastWrite = Promise.resolve();

// The exit code is set, not forced, so that everything written reaches a pipe.
process.exitCode = await run(process.argv.slice(2), {
  out: (output) => void (lastWrite = written(output)),
  written: () => lastWrite,
  err: (output) => void stderr.write(output),
  terminal,
  readInput: () => text(stdin),
  interruption,
});

/** As long as its reader needs; not at all once the reader has gone. */
function written(output: string): Promise<void> {
  return new Promise((resolve) => {
    stdout.write(output, (error) => {
      if (!error) resolve();
    });
  });
}

/** Not every terminal says how large it is; prompts would be wrapped after each character. */
function assumeSize(): void {
  stdout.columns ||= ASSUMED_SIZE.columns;
  stdout.rows ||= ASSUMED_SIZE.rows;
}

function interruption(): AbortController {
  const controller = new AbortController();
  for (const signal of SIGNALS) {
    process.on(signal, () => (controller.signal.aborted ? process.exit(EXIT_CODES.interrupted) : controller.abort()));
  }
  // Bars and prompts hide it, and may not be asked to end.
  process.on('exit', () => terminal?.output.write(SHOW_CURSOR));
  return controller;
}

function fail(reason: string): void {
  stderr.write(printable(`error: ${reason}\n`), () => process.exit(EXIT_CODES.unusable));
}
