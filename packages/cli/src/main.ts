import { text } from 'node:stream/consumers';
import { run } from './command-line.js';
import { EXIT_CODES } from './exit-codes.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const { stdin, stdout, stderr } = process;

// Whoever reads the output has seen enough: `taskbridge tail … | head`.
stdout.on('error', () => process.exit(EXIT_CODES.interrupted));

// The exit code is set, not forced, so that everything written reaches a pipe.
process.exitCode = await run(process.argv.slice(2), {
  out: (output) => void stdout.write(output),
  err: (output) => void stderr.write(output),
  terminal: stdin.isTTY && stdout.isTTY ? { input: stdin, output: stdout } : undefined,
  readInput: () => text(stdin),
  interruption,
});

function interruption(): AbortController {
  const controller = new AbortController();
  for (const signal of SIGNALS) {
    process.on(signal, () => (controller.signal.aborted ? process.exit(EXIT_CODES.interrupted) : controller.abort()));
  }
  return controller;
}
