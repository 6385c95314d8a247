import { execFile } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Cluster } from '../../../sample/src/embedded-postgres/cluster.js';
import { answerCalls } from './child-calls.js';

// A PostgreSQL that may be killed, in the care of a process of its own; started and told by `FaultPostgres`.

const START_TRIES = 40;
const RETRY_MS = 150;

const folder = await mkdtemp(path.join(tmpdir(), 'taskbridge-faults-'));
// Run as root, the server is another user and must be able to reach its data.
await chmod(folder, 0o755);
const data = path.join(folder, 'postgres');
// Everything about durability stays as PostgreSQL ships it: that is what is on trial.
const cluster = await Cluster.open(data, ['max_connections=200', 'log_min_messages=log', 'log_connections=off']);

/** After a kill the orphans of the old server hold its memory for a moment. */
async function start(): Promise<string> {
  let problem: unknown;
  for (let attempt = 0; attempt < START_TRIES; attempt += 1) {
    try {
      await cluster.startServer();
      return (await cluster.url()) ?? '';
    } catch (error) {
      problem = error;
      await sleep(RETRY_MS);
    }
  }
  throw new Error('PostgreSQL does not start again', { cause: problem });
}

async function postmaster(): Promise<number> {
  return Number((await readFile(path.join(data, 'postmaster.pid'), 'utf8')).split('\n')[0]);
}

/** The server and every process of it at once, as a machine that loses its power. */
async function kill(): Promise<void> {
  const parent = await postmaster();
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  const family = stdout
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid, ppid]) => (pid !== undefined && ppid === parent ? [pid] : []));
  for (const pid of [parent, ...family]) killOne(pid);
}

function killOne(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // Gone between the listing and here.
  }
}

async function cleanUp(): Promise<void> {
  await kill().catch(() => undefined);
  await rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

answerCalls({ start, kill, killOne, stop: () => cluster.stopServer(), cleanUp }, cleanUp);
process.send?.({ call: 0, value: null });
