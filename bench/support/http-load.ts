import { v7 as uuidv7 } from 'uuid';
import { latencies } from './figures.js';
import { closedLoop } from './load.js';
import { RawHttp } from './raw-http.js';
import type { Figures } from './report.js';

export interface CreateLoad {
  port: number;
  connections: number;
  durationMs: number;
}

/** Creates tasks on every connection, one after the other. */
export async function createTasks({ port, connections, durationMs }: CreateLoad): Promise<Figures> {
  const clients = Array.from({ length: connections }, () => new RawHttp(port));
  const times: number[] = [];
  const rate = await closedLoop(connections, durationMs, async (connection) => {
    const input = { file: 'contacts.csv', rows: 5_000, notify: ['ada@example.org'], options: { dryRun: false } };
    const body = JSON.stringify({ clientRequestId: uuidv7(), taskType: 'contacts.import', input });
    const startMs = performance.now();
    await clients[connection]?.request('POST', '/api/v1/tasks', body);
    times.push(performance.now() - startMs);
  });
  for (const client of clients) client.close();
  return { ...rate, ...latencies(times) };
}

/** Polls a task's log from its start, page by page; the number of events. */
export async function pollAll({ port, path, events }: { port: number; path: string; events: number }): Promise<number> {
  const client = new RawHttp(port);
  let seq = 0;
  while (seq < events) {
    const body = await client.request('GET', `${path}?maxEvents=500&waitTimeoutMs=0&afterEventId=${seq}`);
    const last = /"nextAfterEventId":"(\d+)/.exec(body)?.[1];
    if (last === undefined || Number(last) <= seq) throw new Error(`The log ends at ${seq}`);
    seq = Number(last);
  }
  client.close();
  return seq;
}
