import { type Command, Option } from 'commander';
// Compiled into this package, so that the command needs neither Nest nor TypeORM.
import { verifyTaskBridge } from '../../../../lib/verification/index.js';
import type { CommandContext } from '../command-context.js';
import { EXIT_CODES } from '../exit-codes.js';
import { durationMs, positiveInteger } from '../option-values.js';
import { verificationJson, verificationText } from '../verification-output.js';

interface VerifyOptions {
  databaseUrl?: string;
  schema?: string;
  pendingOlderThan?: number;
  leaseGrace?: number;
  retained?: number;
  batchSize?: number;
  json?: true;
}

const CONNECT_TIMEOUT_MS = 10_000;
const UNDEFINED_TABLE = '42P01';

/** `verify`: exits `failed` when it finds something, and `unusable` when it cannot read the database. */
export function addVerifyCommand(program: Command, context: CommandContext): void {
  const command: Command = program.command('verify').description('Look for broken invariants in a live database.');
  command
    .addOption(new Option('--database-url <url>', 'PostgreSQL to read').env('DATABASE_URL'))
    .option('--schema <name>', 'schema of the tables (default: what the search path finds)')
    .option('--pending-older-than <time>', 'hand-offs due for longer are findings (default: 10m)', durationMs)
    .option('--lease-grace <time>', 'how long a lease may outlive its process (default: 1m)', durationMs)
    .option('--retained <time>', 'at most the smallest age of your retention (default: 30d)', durationMs)
    .option('--batch-size <n>', 'tasks per snapshot (default: 200)', positiveInteger)
    .option('--json', 'one JSON object instead of text')
    .action(async (options: VerifyOptions) => {
      const { databaseUrl } = options;
      if (databaseUrl === undefined || databaseUrl === '') {
        command.error('error: say which database: --database-url or DATABASE_URL');
      }
      await verify(databaseUrl, options, context);
    });
}

async function verify(databaseUrl: string, options: VerifyOptions, context: CommandContext): Promise<void> {
  const startedAt = performance.now();
  const source = { connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS };
  const report = await verifyTaskBridge(source, {
    schema: options.schema,
    pendingOlderThanMs: options.pendingOlderThan,
    leaseGraceMs: options.leaseGrace,
    retainedMs: options.retained,
    batchSize: options.batchSize,
  }).catch((error: unknown) => {
    throw withAdvice(error);
  });
  const elapsedMs = Math.round(performance.now() - startedAt);
  context.out(options.json ? verificationJson(report, elapsedMs) : verificationText(report, elapsedMs));
  if (report.findings.length > 0) context.conclude(EXIT_CODES.failed);
}

function withAdvice(error: unknown): unknown {
  if ((error as { code?: unknown } | null)?.code !== UNDEFINED_TABLE) return error;
  return new Error('There are no TaskBridge tables: name their --schema, or run the migrations', { cause: error });
}
