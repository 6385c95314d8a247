import { mkdtemp, chmod, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { SampleClient } from '../support/sample-client.js';
import { buildSample, SampleProcess } from '../support/sample-process.js';

describe('sample: its programs', () => {
  let database: TestDatabase;
  const started: SampleProcess[] = [];

  beforeAll(async () => {
    await buildSample();
    database = await createTestDatabase();
  }, 180_000);

  afterAll(async () => {
    await Promise.all(started.map((program) => program.stop('SIGKILL')));
    await database?.drop();
  });

  const start = (...args: ConstructorParameters<typeof SampleProcess>): SampleProcess => {
    const program = new SampleProcess(...args);
    started.push(program);
    return program;
  };

  const startMain = (env: Record<string, string> = {}, cwd?: string): SampleProcess =>
    start('main', { PORT: '0', ...env }, { ...(cwd !== undefined && { cwd }) });

  it('boots two instances at once on one database, each serving the tasks of the other', async () => {
    const instances = [startMain({ DATABASE_URL: database.url }), startMain({ DATABASE_URL: database.url })];
    const [one = '', other = ''] = await Promise.all(instances.map((instance) => instance.url()));
    const taskId = await new SampleClient(one).createTask('demo.approval', {});
    const client = new SampleClient(other);
    const events = await client.follow(taskId, (event) => {
      if (event.type === 'TASK_SUSPENDED') void client.answer(taskId, event.payload.suspendId, 'approve');
    });
    expect(events.at(-1)?.payload).toEqual({ result: { decision: 'approve', decidedBy: 'ada' } });
    expect(await Promise.all(instances.map((instance) => instance.stop()))).toEqual([0, 0]);
  });

  it('says in one line that its port is taken', async () => {
    const running = startMain({ DATABASE_URL: database.url });
    const port = new URL(await running.url()).port;
    const second = startMain({ DATABASE_URL: database.url, PORT: port });
    expect(await second.exited()).toBe(1);
    expect(second.printed).toContain(`Port ${port} on 127.0.0.1 is taken.`);
    await running.stop();
  });

  it('runs the demo against a running sample, also when its WebSocket is dropped', async () => {
    const running = startMain({ DATABASE_URL: database.url });
    const proxy = await dropFirstUpgrade(await running.url());
    const { port } = proxy.address() as AddressInfo;
    const demo = start('demo', { TASKBRIDGE_URL: `http://127.0.0.1:${port}` }, { args: ['--yes'] });
    expect(await demo.exited()).toBe(0);
    expect(demo.printed).toContain('75 of 5000 rows cannot be imported');
    expect(demo.printed).toContain('Imported 4925 contacts, skipped 75, of 5000 rows.');
    expect(proxy.dropped).toBe(1);
    proxy.close();
    await running.stop();
  });

  it('runs the demo on a sample of its own when none is running', async () => {
    const env = { DATABASE_URL: database.url, PORT: '1' };
    const demo = start('demo', env, { args: ['--yes', 'sample/data/contacts-5000.csv'] });
    expect(await demo.exited()).toBe(0);
    expect(demo.printed).toContain('Imported 4925 contacts, skipped 75, of 5000 rows.');
  });

  it.each([
    ['a sample that is not there', { TASKBRIDGE_URL: 'http://127.0.0.1:1' }, [], 'There is no running sample'],
    ['nobody to answer its question', { PORT: '1' }, [], 'Nobody answered the question'],
  ])('ends the demo with 1 and a reason for %s', async (_, env, args, reason) => {
    const demo = start('demo', { DATABASE_URL: database.url, ...env }, { args });
    expect(await demo.exited()).toBe(1);
    expect(demo.printed).toContain(reason);
  });

  it('brings a database of its own that outlives a kill, and refuses a second instance in the folder', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-sample-'));
    await chmod(folder, 0o755);
    const killed = startMain({}, folder);
    const taskId = await new SampleClient(await killed.url()).createTask('demo.approval', {});
    const second = startMain({}, folder);
    expect(await second.exited()).toBe(1);
    expect(second.printed).toContain('is in use by another instance');
    await killed.stop('SIGKILL');

    const next = startMain({}, folder);
    const client = new SampleClient(await next.url());
    expect(await client.snapshot(taskId)).toMatchObject({ taskType: 'demo.approval' });
    expect(await next.stop('SIGINT')).toBe(0);
    await rm(folder, { recursive: true });
  });
});

interface DroppingProxy extends Server {
  dropped: number;
}

/** Forwards connections, but cuts the first one that carries a WebSocket after a few kilobytes. */
async function dropFirstUpgrade(target: string): Promise<DroppingProxy> {
  const { hostname, port } = new URL(target);
  const proxy = createServer((client) => {
    const server = connect(Number(port), hostname);
    let [upgraded, received] = [false, 0];
    client.on('data', (chunk) => (upgraded ||= chunk.includes('Upgrade: websocket')));
    server.on('data', (chunk) => {
      received += chunk.length;
      if (!upgraded || received < 4_000 || proxy.dropped > 0) return;
      proxy.dropped += 1;
      client.destroy();
    });
    client.pipe(server).pipe(client);
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.on('error', () => peer.destroy());
      socket.on('close', () => peer.destroy());
    }
  }) as DroppingProxy;
  proxy.dropped = 0;
  await new Promise<void>((listening) => proxy.listen(0, '127.0.0.1', listening));
  return proxy;
}
