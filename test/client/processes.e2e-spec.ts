import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MemoryStore } from '@taskbridge/client';
import { HttpClient } from '../support/http-client.js';
import { createTestDatabase, openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { type ForkedHost, forkHost } from '../support/fork-host.js';
import { StreamApp } from '../support/stream-app.js';
import { bundle } from './support/bundle.js';
import { FaultNetwork } from './support/fault-network.js';
import { clientOf, flawless, followed } from './support/torture-client.js';

const EVENTS = 6;

describe('A client whose process is killed', () => {
  let opened: OpenTestDatabase;
  let instance: StreamApp;
  let folder: string;
  let program: string;
  let taskId: string;

  beforeAll(async () => {
    opened = await openTestDatabase();
    instance = await StreamApp.open(opened.database);
    folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-client-'));
    program = path.join(folder, 'client.mjs');
    await writeFile(program, await bundle('test/client/support/client-process.ts', { platform: 'node' }));
    taskId = await instance.taskWith(EVENTS - 1);
    await instance.complete(taskId);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await instance.close();
    await opened.close();
  });

  /** What it printed until it was killed, or ended. */
  const run = (store: string, mode: string, dieAt: number | string): Promise<string[]> =>
    new Promise((resolve) => {
      const args = [program, instance.origin, taskId, path.join(folder, store), mode, String(dieAt)];
      execFile(process.execPath, args, { timeout: 30_000 }, (_, output) => resolve(output.trim().split('\n')));
    });

  it('resumes at the next event when the one before was stored, after each event', async () => {
    for (let seq = 1; seq < EVENTS; seq += 1) {
      expect(await run('stored', 'stored', seq)).toEqual([String(seq)]);
    }
    expect(await run('stored', 'stored', EVENTS)).toEqual([String(EVENTS), 'end']);
    expect(await readdir(path.join(folder, 'stored'))).toEqual([]);
  });

  it('gets the event again that it was handling', async () => {
    expect(await run('handling', 'handling', 3)).toEqual(['1', '2', '3']);
    expect(await run('handling', 'handling', 3)).toEqual(['3']);
    expect(await run('handling', 'none', '')).toEqual(['3', '4', '5', '6', 'end']);
  });
});

describe('A client whose instances are restarted', () => {
  it('follows a task over two processes that are stopped, killed and replaced one after the other', async () => {
    const database = await createTestDatabase();
    const options = { execution: { leaseMs: 3_000, heartbeatMs: 500 }, shutdown: { drainWindowMs: 50 } };
    const hosts: ForkedHost[] = [await forkHost(database, options), await forkHost(database, options)];
    const network = await FaultNetwork.start(hosts.map(({ url }) => url));
    try {
      const taskId = await new HttpClient(hosts[0].url, 'ada').create('approval');
      const store = new MemoryStore();
      const client = clientOf(network.url, { store, recovery: { openTimeoutMs: 5_000, livenessTimeoutMs: 20_000 } });
      const replace = async (index: number, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
        await hosts[index].end(signal);
        hosts[index] = await forkHost(database, options);
        network.targets = hosts.map(({ url }) => url);
      };
      const outcome = await followed(
        client,
        store,
        taskId,
        async (event) => {
          if (event.type === 'TASK_STARTED') await replace(0, 'SIGTERM');
          if (event.type !== 'TASK_SUSPENDED') return;
          await replace(0, 'SIGKILL');
          const { suspendId } = event.suspension;
          const answer = { suspendId, actionType: 'approve', payload: { note: 'go on' }, clientActionId: 'once' };
          expect((await client.submitAction(taskId, answer)).status).toBe('ACCEPTED');
          await replace(1, 'SIGKILL');
          expect((await client.submitAction(taskId, answer)).status).toBe('DEDUPLICATED');
        },
        80_000,
      );
      expect(outcome).toEqual(flawless(5));
      expect(await client.waitForResult(taskId)).toMatchObject({ action: 'approve' });
    } finally {
      await network.close();
      for (const host of hosts) await host.end('SIGKILL');
      await database.drop();
    }
  }, 100_000);
});
