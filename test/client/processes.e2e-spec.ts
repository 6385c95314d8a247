import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { StreamApp } from '../support/stream-app.js';
import { bundle } from './support/bundle.js';
import { ProcessFollower } from './support/follower.js';
import { describeRestarts } from './support/restart-suite.js';

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

describeRestarts('Node', async ({ url }) => new ProcessFollower(url));
