import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

/**
 * Starts the one PostgreSQL server of a test run, or takes the one that `DATABASE_URL` names; its role must be allowed
 * to create databases. Tests read `TASKBRIDGE_TEST_DATABASE_URL`.
 */
export default async function setUp() {
  if (process.env.DATABASE_URL) {
    process.env.TASKBRIDGE_TEST_DATABASE_URL = process.env.DATABASE_URL;
    return;
  }
  const folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-pg-'));
  // Run as root, the server is another user and must be able to reach its data.
  await chmod(folder, 0o755);
  const support = path.resolve('test/support');
  const server = fork(path.join(support, 'database-server.ts'), [folder], {
    execArgv: ['--no-warnings', '--import', path.join(support, 'typescript-loader.mjs')],
    silent: true,
  });
  let output = '';
  server.stderr.on('data', (text) => (output += text));
  try {
    const failed = once(server, 'exit').then(() => Promise.reject(new Error(output)));
    const [{ url }] = await Promise.race([once(server, 'message'), failed]);
    process.env.TASKBRIDGE_TEST_DATABASE_URL = url;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw new Error(`The test database did not start:\n${output}`, { cause: error });
  }
  globalThis.taskBridgeTestServer = { server, folder };
}
