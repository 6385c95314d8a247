import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TaskBridgeClient } from '@taskbridge/client';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../embedded-postgres/embedded-postgres.js';
import { localUrl, readSettings } from '../settings.js';
import { startSample } from '../start-sample.js';
import { isSample, sampleClient } from './sample-client.js';

export interface FoundSample {
  url: string;
  client: TaskBridgeClient;
  /** Stops what was started for the demo; a sample that was running already goes on. */
  release: () => Promise<void>;
}

/** The sample at `TASKBRIDGE_URL`, or the one that is running at `HOST` and `PORT`, or else one of the demo's own. */
export async function findSample(env: NodeJS.ProcessEnv): Promise<FoundSample> {
  const { host, port, databaseUrl } = readSettings(env);
  const given = env['TASKBRIDGE_URL']?.replace(/\/+$/, '');
  const url = given ?? localUrl(host, port);
  if (await isSample(url)) return { url, client: sampleClient(url), release: async () => undefined };
  if (given !== undefined) throw new Error(`There is no running sample at ${given}`);
  return bootSample(databaseUrl);
}

async function bootSample(databaseUrl: string | undefined): Promise<FoundSample> {
  const database =
    databaseUrl === undefined ? await startThrowawayPostgres() : { url: databaseUrl, stop: async () => undefined };
  try {
    const options = { host: '127.0.0.1', port: 0, databaseUrl: database.url };
    const { app, url } = await startSample({ ...options, logLevels: ['error', 'warn'] });
    const release = () => app.close().finally(() => database.stop());
    return { url, client: sampleClient(url), release };
  } catch (error) {
    await database.stop();
    throw error;
  }
}

/** In a folder of its own, because a sample that is just starting may hold `.data`. */
async function startThrowawayPostgres(): Promise<EmbeddedPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'taskbridge-demo-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    // Where root starts the demo, another user runs the server.
    await chmod(folder, 0o755);
    const { url, stop } = await startEmbeddedPostgres(folder);
    return { url, stop: () => stop().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}
