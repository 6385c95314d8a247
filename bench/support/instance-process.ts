import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { answerCalls } from '../../test/faults/support/child-calls.js';
import { StreamApp } from '../../test/support/stream-app.js';
import { type BareServer, openBareServer } from './bare-server.js';

// A server in a process of its own, ours or a bare one; told what to do by `ServerProcess`.

export interface Usage {
  rssBytes: number;
  heapBytes: number;
  cpuUs: number;
}

let bare: BareServer | undefined;
let peakRss = 0;

async function bootOurs({ databaseUrl, ...taskBridge }: TaskBridgeOptions & { databaseUrl: string }): Promise<string> {
  return (await StreamApp.open({ url: databaseUrl }, { taskBridge })).origin;
}

async function bootBare(): Promise<string> {
  bare = await openBareServer();
  return `http://127.0.0.1:${bare.port}`;
}

/** Sends what others notify of to the followers of its task: messages are lists of [task id, envelope]. */
async function listen(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  client.on('notification', ({ payload = '[]' }) => {
    const entries = JSON.parse(payload) as [string, string][];
    for (const [taskId, envelope] of entries) bare?.send('websocket', taskId, Buffer.from(envelope));
  });
  await client.query('listen bench');
}

/** What is left when the collector has had its turns. */
async function settled(): Promise<Usage> {
  for (let turn = 0; turn < 3; turn += 1) {
    global.gc?.();
    await sleep(100);
  }
  return usage();
}

function usage(): Usage {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  return { rssBytes: rss, heapBytes: heapUsed, cpuUs: user + system };
}

/** Notes the largest resident set from now on. */
function watchMemory(): void {
  peakRss = 0;
  setInterval(() => (peakRss = Math.max(peakRss, process.memoryUsage.rss())), 20).unref();
}

answerCalls({
  bootOurs,
  bootBare,
  listen,
  settled,
  usage,
  watchMemory,
  peakRss: () => peakRss,
  beatEvery: (ms: number) => void setInterval(() => bare?.beat(), ms),
});
process.send?.({ call: 0, value: null });
