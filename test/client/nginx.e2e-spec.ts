import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Diagnostic, MemoryStore } from '@taskbridge/client';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { StreamApp } from '../support/stream-app.js';
import { clientOf, flawless, followed } from './support/torture-client.js';

const NGINX = '/usr/sbin/nginx';
const EVENTS = 8;

/** What Debian's own configuration has, and one `proxy_pass` without anything about streams. */
const configuration = (folder: string, port: number, target: string, more: string): string => `
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
daemon off;
worker_processes 1;
events {}
http {
  sendfile on; tcp_nopush on; types_hash_max_size 2048; gzip on;
  include /etc/nginx/mime.types; default_type application/octet-stream;
  access_log ${folder}/access.log;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server { listen 127.0.0.1:${port}; location / { proxy_pass ${target}; ${more} } }
}`;

const UPGRADE =
  'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";';

const isInstalled = existsSync(NGINX);
const here = isInstalled ? 'behind nginx' : 'behind nginx (left out: it is not installed at /usr/sbin/nginx)';

(isInstalled ? describe : describe.skip)(`A client ${here}`, () => {
  let opened: OpenTestDatabase;
  let instance: StreamApp;
  let folder: string;
  let nginx: ChildProcess | undefined;

  beforeAll(async () => {
    opened = await openTestDatabase();
    instance = await StreamApp.open(opened.database);
  });

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-nginx-'));
    await chmod(folder, 0o777);
  });

  afterEach(async () => {
    if (nginx?.exitCode === null) {
      nginx.kill('SIGKILL');
      await once(nginx, 'exit');
    }
    await rm(folder, { recursive: true, force: true });
  });

  afterAll(async () => {
    await instance.close();
    await opened.close();
  });

  const startNginx = async (more: string): Promise<string> => {
    const port = await freePort();
    const file = path.join(folder, 'nginx.conf');
    await writeFile(file, configuration(folder, port, instance.origin, more));
    nginx = spawn(NGINX, ['-c', file, '-p', folder, '-g', 'master_process off;'], { stdio: 'ignore' });
    const url = `http://127.0.0.1:${port}`;
    await eventually(() =>
      fetch(`${url}/health`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    return url;
  };

  it.each([
    ['fails over to a stream that is not buffered where upgrades do not pass', '', 'sse'],
    ['uses the WebSocket where upgrades pass', UPGRADE, 'websocket'],
  ])('%s', async (_, more, expected) => {
    const connected: string[] = [];
    const listener = (entry: Diagnostic): void => {
      if (entry.kind === 'connected') connected.push(entry.transport);
    };
    const store = new MemoryStore();
    const recovery = {
      openTimeoutMs: 10_000,
      livenessTimeoutMs: 45_000,
      climbAfterMs: 60_000,
      maxClimbAfterMs: 60_000,
    };
    const client = clientOf(await startNginx(more), { store, diagnostics: listener, recovery });
    const taskId = await instance.createTask();
    await instance.start(taskId);
    // Each event is appended when the one before has arrived, so a proxy that held one back would hold all of them.
    const outcome = await followed(client, store, taskId, async ({ eventId }) => {
      const seq = Number.parseInt(eventId, 10);
      if (seq < EVENTS - 1) await instance.progress(taskId, seq);
      else if (seq === EVENTS - 1) await instance.complete(taskId);
    });
    expect(outcome).toEqual(flawless(EVENTS));
    expect(new Set(connected)).toEqual(new Set([expected]));
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
