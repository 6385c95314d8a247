import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { ChildCalls } from '../test/faults/support/child-calls.js';
import { FaultPostgres } from '../test/faults/support/fault-postgres.js';
import { forkTypeScript } from '../test/faults/support/fork-typescript.js';
import { SoakLoad } from './soak-load.js';

// One instance under constant load for SOAK_MINUTES (30): what it holds at the end, compared with minute 5, or with a
// sixth of a shorter run. Ends with 1 when its memory has grown by more than a tenth, or connections or collections at all.

export interface SoakSample {
  rssBytes: number;
  heapBytes: number;
  collections: Record<string, number>;
}

interface Reading extends SoakSample {
  minute: number;
  connections: number;
  tasks: number;
  events: number;
}

const MINUTE_MS = 60_000;
const MAX_RSS_GROWTH = 1.1;
/** Work under way differs from one moment to the next; what grows without end passes this soon. */
const COLLECTION_SLACK = 100;
const CONNECTION_SLACK = 2;

const minutes = Number(process.env['SOAK_MINUTES'] ?? 30);
const baselineAt = Math.min(5, minutes / 6);

const postgres = await FaultPostgres.open();
const child = forkTypeScript('bench/soak-host.ts', ['--expose-gc']);
await once(child.process, 'message');
const host = new ChildCalls(child.process);
const load = new SoakLoad(String(await host.call('boot', postgres.url())));
const startedAt = performance.now();

console.log('| minute | RSS MiB | heap MiB | connections | kept in collections | tasks | events |');
console.log('|---:|---:|---:|---:|---:|---:|---:|');
await until(baselineAt);
const baseline = await read();
const step = Math.max(0.5, (minutes - baselineAt) / 10);
for (let minute = baselineAt + step; minute < minutes - step / 2; minute += step) {
  await until(minute);
  await read();
}
await until(minutes);
const end = await read();
await load.stop();
const problems = judge(baseline, end);
for (const problem of problems) console.log(problem);
console.log(problems.length === 0 ? 'Nothing grows.' : `${problems.length} findings.`);
child.process.kill('SIGKILL');
await postgres.close();
process.exit(problems.length === 0 ? 0 : 1);

async function until(minute: number): Promise<void> {
  await sleep(Math.max(0, startedAt + minute * MINUTE_MS - performance.now()));
}

async function read(): Promise<Reading> {
  const sample = (await host.call('measure')) as SoakSample;
  const [row] = await postgres.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
  );
  const minute = (performance.now() - startedAt) / MINUTE_MS;
  const reading = { ...sample, minute, connections: row?.n ?? 0, tasks: load.tasks, events: load.events };
  const kept = Object.values(sample.collections).reduce((sum, size) => sum + size, 0);
  const cells = [minute.toFixed(1), mib(sample.rssBytes), mib(sample.heapBytes), reading.connections, kept];
  console.log(`| ${[...cells, reading.tasks, reading.events].join(' | ')} |`);
  return reading;
}

function judge(before: Reading, after: Reading): string[] {
  const grown = Object.entries(after.collections).filter(
    ([path, size]) => size > (before.collections[path] ?? 0) + COLLECTION_SLACK,
  );
  return [
    ...(after.rssBytes > before.rssBytes * MAX_RSS_GROWTH
      ? [`RSS grew from ${mib(before.rssBytes)} to ${mib(after.rssBytes)} MiB`]
      : []),
    ...(after.connections > before.connections + CONNECTION_SLACK
      ? [`Connections grew from ${before.connections} to ${after.connections}`]
      : []),
    ...grown.map(([path, size]) => `${path} grew from ${before.collections[path] ?? 0} to ${size}`),
    ...new Set(load.problems),
  ];
}

function mib(bytes: number): string {
  return (bytes / 1_048_576).toFixed(1);
}
