import { parseArgs } from 'node:util';
import { findSample } from './demo/find-sample.js';
import { importContacts } from './demo/import-contacts.js';
import { describeStartProblem } from './start-problem.js';

const INTERRUPTED = 130;

/** `npm run demo -- [--yes] [file]`. A second Ctrl-C does not wait for the cleaning up. */
async function main(): Promise<void> {
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => (interrupted.signal.aborted ? process.exit(INTERRUPTED) : interrupted.abort()));
  }
  try {
    await run(interrupted);
  } catch (error) {
    console.error(interrupted.signal.aborted ? '\nInterrupted.' : `\n${describeStartProblem(error)}`);
    process.exit(interrupted.signal.aborted ? INTERRUPTED : 1);
  }
}

async function run(interrupted: AbortController): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { yes: { type: 'boolean', short: 'y' } },
    allowPositionals: true,
  });
  const file = positionals[0] ?? 'sample/data/contacts-5000.csv';
  const { url, client, release } = await findSample(process.env);
  console.log(`Using the sample at ${url}`);
  try {
    interrupted.signal.throwIfAborted();
    await importContacts(client, { file, yes: values.yes === true, interrupted });
  } finally {
    await release();
  }
}

await main();
