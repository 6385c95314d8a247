import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { eventually } from './eventually.js';

const PROGRAM = '/usr/sbin/pgbouncer';
/** The program refuses to run as root; this is `nobody` on Debian. */
const UNPRIVILEGED = 65_534;
const POOL_SIZE = 4;

/** Whether Debian's package is installed. */
export const hasPgBouncer = isExecutable(PROGRAM);

/** A PgBouncer in transaction mode, with a few server connections that all clients share. */
export class PgBouncer {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    /** Of the database behind it. */
    readonly url: string,
  ) {}

  static async open(databaseUrl: string): Promise<PgBouncer> {
    const target = new URL(databaseUrl);
    const port = await freePort();
    const folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-pgbouncer-'));
    await chmod(folder, 0o755);
    const settings = path.join(folder, 'pgbouncer.ini');
    await writeFile(settings, settingsFor(target, port));
    const identity = process.getuid?.() === 0 ? { uid: UNPRIVILEGED, gid: UNPRIVILEGED } : {};
    const child = spawn(PROGRAM, ['-q', settings], { stdio: 'ignore', ...identity });
    const url = new URL(databaseUrl);
    url.host = `127.0.0.1:${port}`;
    const bouncer = new PgBouncer(child, folder, url.href);
    await eventually(() => bouncer.answers());
    return bouncer;
  }

  /** One row per server connection, each asked for what a client has left behind in it. */
  async serverStates<T extends pg.QueryResultRow>(query: string): Promise<T[]> {
    const clients = Array.from({ length: POOL_SIZE }, () => new pg.Client({ connectionString: this.url }));
    try {
      // An open transaction keeps its server: each client holds another one.
      for (const client of clients) await client.connect().then(() => client.query('begin'));
      const answers = await Promise.all(clients.map((client) => client.query<T>(query)));
      return answers.flatMap(({ rows }) => rows);
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  }

  async close(): Promise<void> {
    const exited = once(this.child, 'exit');
    this.child.kill('SIGTERM');
    await exited;
    await rm(this.folder, { recursive: true, force: true });
  }

  private async answers(): Promise<boolean> {
    if (this.child.exitCode !== null) throw new Error(`PgBouncer ended with ${this.child.exitCode}`);
    const client = new pg.Client({ connectionString: this.url, connectionTimeoutMillis: 1_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function settingsFor(target: URL, port: number): string {
  const password = target.password === '' ? '' : ` password=${decodeURIComponent(target.password)}`;
  return `[databases]
* = host=${target.hostname} port=${target.port || '5432'} user=${decodeURIComponent(target.username)}${password}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${POOL_SIZE}
max_client_conn = 200
`;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
