import { startEmbeddedPostgres } from './embedded-postgres/embedded-postgres.js';
import { readSettings, type SampleSettings } from './settings.js';
import { describeStartProblem } from './start-problem.js';
import { startSample } from './start-sample.js';
import { welcome } from './welcome.js';

const SHUTDOWN_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** A signal that comes before the application can drain. */
function giveUp(): never {
  process.exit(130);
}

/** Leaves through `exit`, which also stops the embedded PostgreSQL: after the application has drained, not before. */
async function start({ host, port, databaseUrl }: SampleSettings): Promise<void> {
  for (const signal of SHUTDOWN_SIGNALS) process.on(signal, giveUp);
  const embedded = databaseUrl === undefined ? await startEmbeddedPostgres('.data') : undefined;
  const { app, url } = await startSample({ host, port, databaseUrl: databaseUrl ?? embedded?.url ?? '' });
  app.enableShutdownHooks([...SHUTDOWN_SIGNALS], { useProcessExit: true });
  for (const signal of SHUTDOWN_SIGNALS) process.off(signal, giveUp);
  console.log(
    welcome(url, embedded ? `embedded PostgreSQL in .data/postgres, ${embedded.url}` : 'the one in DATABASE_URL'),
  );
}

async function main(): Promise<void> {
  let settings: SampleSettings | undefined;
  try {
    settings = readSettings(process.env);
    await start(settings);
  } catch (error) {
    console.error(`\nThe sample did not start. ${describeStartProblem(error, settings)}`);
    process.exit(1);
  }
}

await main();
