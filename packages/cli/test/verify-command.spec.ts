import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FINDING_CODES } from '@taskbridge/nestjs/verification';
import { createTestDatabase, type OpenTestDatabase, openTestDatabase } from '../../../test/support/database.js';
import { createTestStores, startTask } from '../../../test/support/stores.js';
import { EXIT_CODES } from '../src/exit-codes.js';
import { VERSION } from '../src/version.js';
import { BuiltCli } from './support/built-cli.js';

describe('taskbridge verify', () => {
  let opened: OpenTestDatabase;
  let empty: Awaited<ReturnType<typeof createTestDatabase>>;
  let cli: BuiltCli;
  let taskId: string;

  const verify = (...args: string[]) => cli.run(['verify', ...args], { DATABASE_URL: opened.database.url });

  beforeAll(async () => {
    cli = await BuiltCli.build();
    empty = await createTestDatabase();
    opened = await openTestDatabase({ schema: 'work' });
    await opened.dataSource.query(`alter database "${new URL(opened.database.url).pathname.slice(1)}"
      set search_path to work`);
    const stores = createTestStores(opened.dataSource);
    ({ taskId } = await startTask(stores));
    await stores.close();
  });

  afterAll(async () => {
    await opened.close();
    await empty.drop();
    await cli.remove();
  });

  it('exits 0 and says what it scanned when nothing is broken', async () => {
    const { code, stdout, stderr } = await verify();
    expect([code, stderr]).toEqual([EXIT_CODES.completed, '']);
    expect(stdout).toMatch(
      /^Scanned 1 task, 1 event, 0 suspensions, 0 receipts, 0 attachments in \d+\.\d s: no findings\.\n$/,
    );
  });

  it('takes the limits of its options', async () => {
    await opened.dataSource.query(`update work.taskbridge_tasks set created_at = created_at - interval '7 minutes'`);
    expect((await verify('--pending-older-than', '8m')).code).toBe(EXIT_CODES.completed);
    const { code, stdout } = await verify('--pending-older-than', '5m', '--batch-size', '1', '--lease-grace', '500ms');
    expect(code).toBe(EXIT_CODES.failed);
    expect(stdout).toContain('HANDOFF_OVERDUE (1):');
    await opened.dataSource.query('update work.taskbridge_tasks set created_at = now()');
  });

  it('exits 1 and groups what it finds', async () => {
    await opened.dataSource.query('update work.taskbridge_tasks set status = 0, last_seq = 2');
    const { code, stdout } = await verify('--schema', 'work');
    expect(code).toBe(EXIT_CODES.failed);
    const [lastSeq, task, , status, sameTask, , summary] = stdout.split('\n');
    expect([lastSeq, task, status, sameTask]).toEqual([
      `LAST_SEQ_MISMATCH (1): ${FINDING_CODES.LAST_SEQ_MISMATCH}`,
      `  ${taskId}  last_seq is 2, the log ends with 1`,
      `STATUS_MISMATCH (1): ${FINDING_CODES.STATUS_MISMATCH}`,
      `  ${taskId}  the status is ACCEPTED, the log says RUNNING`,
    ]);
    expect(summary).toMatch(/: 2 findings\.$/);
  });

  it('prints the same as one JSON object', async () => {
    const { code, stdout } = await verify('--json');
    expect(code).toBe(EXIT_CODES.failed);
    expect(JSON.parse(stdout)).toEqual({
      ok: false,
      findings: [expect.objectContaining({ code: 'LAST_SEQ_MISMATCH', taskId }), expect.anything()],
      counts: { LAST_SEQ_MISMATCH: 1, STATUS_MISMATCH: 1 },
      scanned: { tasks: 1, events: 1, suspensions: 0, receipts: 0, attachments: 0 },
      elapsedMs: expect.any(Number),
    });
  });

  it.each<[string, string[], string]>([
    ['without a database', ['verify'], 'error: say which database: --database-url or DATABASE_URL'],
    ['for an unknown option', ['verify', '--quick'], "error: unknown option '--quick'"],
    ['for an argument too many', ['verify', 'all'], 'error: too many arguments'],
    ['for a time without its unit', ['verify', '--pending-older-than', '5'], 'It must be a time such as'],
    ['for a batch of nothing', ['verify', '--batch-size', '0'], 'It must be a whole number from 1.'],
    ['for an unknown command', ['dance'], "error: unknown command 'dance'"],
    ['without a command', [], 'Usage: taskbridge'],
    ['for something that is no URL', ['verify', '--database-url', 'postgres://:x'], 'error: '],
    [
      'where nobody answers',
      ['verify', '--database-url', 'postgres://u:secret@localhost:1/x'],
      'error: connect ECONNREFUSED',
    ],
  ])('exits 3 %s', async (_case, args, message) => {
    const { code, stdout, stderr } = await cli.run(args);
    expect([code, stdout]).toEqual([EXIT_CODES.unusable, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/secret|\n {4}at /);
  });

  it('exits 3 where the tables are not', async () => {
    const { code, stderr } = await cli.run(['verify', '--database-url', empty.url]);
    expect(code).toBe(EXIT_CODES.unusable);
    expect(stderr).toBe(
      'error: There are no TaskBridge tables: name their --schema, or run the migrations: ' +
        'relation "taskbridge_tasks" does not exist\n',
    );
  });

  it('exits 0 for its help and its version, which is the package’s', async () => {
    const help = await cli.run(['verify', '--help']);
    expect([help.code, help.stdout]).toEqual([0, expect.stringContaining('--pending-older-than <time>')]);
    const { version } = JSON.parse(await readFile('packages/cli/package.json', 'utf8')) as { version: string };
    expect(await cli.run(['--version'])).toEqual({ code: 0, stdout: `${VERSION}\n`, stderr: '' });
    expect(VERSION).toBe(version);
  });

  it('loads neither Nest nor TypeORM', async () => {
    const seen = new Set<string>();
    const packages = new Set<string>();
    const follow = async (file: string): Promise<void> => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const [, specifier = ''] of (await readFile(file, 'utf8')).matchAll(
        /^(?:import|export) .*from '(.+)';$/gm,
      )) {
        if (specifier.startsWith('.')) await follow(path.resolve(path.dirname(file), specifier));
        else packages.add(specifier);
      }
    };
    await follow(cli.main);
    expect(seen.size).toBeGreaterThan(15);
    expect([...packages].toSorted()).toEqual([
      '@clack/prompts',
      '@taskbridge/client',
      '@taskbridge/client/node',
      '@taskbridge/protocol',
      'cli-progress',
      'commander',
      'node:crypto',
      'node:fs',
      'node:fs/promises',
      'node:path',
      'node:stream/consumers',
      'node:timers/promises',
      'pg',
      'ws',
    ]);
  });
});
