import { run } from './command-line.js';

// The exit code is set, not forced, so that everything written reaches a pipe.
process.exitCode = await run(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
});
