import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import { Client } from 'pg';
import { Cluster } from './cluster.js';

/** A running server that belongs to this process. */
export interface EmbeddedPostgres {
  url: string;
  /** Stops the server and waits for it. Without this call it stops when the process exits. */
  stop: () => Promise<void>;
}

const START_ATTEMPTS = 5;

/** Held for as long as a process uses the server; the number stands for this sample. */
const CLAIM_SERVER = 'select pg_try_advisory_lock(1668246885) as claimed';

/**
 * Starts PostgreSQL with its files in `<folder>/postgres`, created the first time. What an unclean stop left behind is
 * recovered, and a server that outlived its process is taken over. Rejects when another process uses the folder.
 * `settings` are the server's, as in `fsync=off`.
 */
export async function startEmbeddedPostgres(
  folder: string,
  settings: readonly string[] = [],
): Promise<EmbeddedPostgres> {
  const cluster = await Cluster.open(resolve(folder, 'postgres'), settings);
  const stopAtExit = (): void => cluster.stopServerBlocking();
  process.once('exit', stopAtExit);
  try {
    const { url, claim } = await claimServer(cluster);
    return { url, stop: () => stopServer(cluster, claim, stopAtExit) };
  } catch (error) {
    process.off('exit', stopAtExit);
    throw error;
  }
}

async function stopServer(cluster: Cluster, claim: Client, stopAtExit: () => void): Promise<void> {
  await claim.end();
  await cluster.stopServer();
  process.off('exit', stopAtExit);
}

/** At this moment another process may be starting or stopping the server: then it looks again. */
async function claimServer(cluster: Cluster): Promise<{ url: string; claim: Client }> {
  let problem: unknown;
  for (let attempt = 0; attempt <= START_ATTEMPTS; attempt++) {
    if (attempt > 0) problem = await cluster.startServer().catch((error: unknown) => error);
    if (attempt > 1) await sleep(300 * attempt);
    const url = await cluster.url();
    const claim = url === undefined ? undefined : await connect(url);
    if (url === undefined || claim === undefined) continue;
    await claimOrRefuse(claim, url, cluster.folder);
    return { url, claim };
  }
  throw new Error(`PostgreSQL does not start; see ${cluster.logFile}\n${await lastLines(cluster)}`, { cause: problem });
}

/** `undefined` when nobody listens, or not our server, or it takes no connections yet or any more. */
async function connect(url: string): Promise<Client | undefined> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000, application_name: 'claim' });
  client.on('error', (error) => new Logger('EmbeddedPostgres').error(`The server has gone: ${error.message}`));
  try {
    await client.connect();
    return client;
  } catch {
    return undefined;
  }
}

async function claimOrRefuse(client: Client, url: string, folder: string): Promise<void> {
  const { rows } = await client.query<{ claimed: boolean }>(CLAIM_SERVER);
  if (rows[0]?.claimed) return;
  await client.end();
  throw new Error(`${folder} is in use by another instance. To run one more beside it, on the same database:
  PORT=3001 DATABASE_URL=${url} npm start`);
}

async function lastLines(cluster: Cluster): Promise<string> {
  const log = await readFile(cluster.logFile, 'utf8').catch(() => '');
  return log.trim().split('\n').slice(-5).join('\n');
}
