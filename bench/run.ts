import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { ChildCalls } from '../test/faults/support/child-calls.js';
import { FaultPostgres } from '../test/faults/support/fault-postgres.js';
import { forkTypeScript } from '../test/faults/support/fork-typescript.js';
import type { BenchRequest, Size } from './support/bench.js';
import { machineOf } from './support/machine.js';
import { type Row, TABLE_HEAD, tableLine } from './support/report.js';

// Runs the benchmarks of this folder one after the other, each in a process of its own, against one PostgreSQL of their
// own with stock settings: `node … bench/run.ts [name …] [--smoke] [--json=file] [--cpu-prof]`.

const SUFFIX = '.bench.ts';
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
const size: Size = options.includes('--smoke') ? 'smoke' : 'full';
const jsonFile = options.find((option) => option.startsWith('--json='))?.slice('--json='.length);
const isProfiled = options.includes('--cpu-prof');

const all = (await readdir(import.meta.dirname)).filter((file) => file.endsWith(SUFFIX)).toSorted();
const files = names.length === 0 ? all : all.filter((file) => names.includes(file.slice(0, -SUFFIX.length)));
if (files.length === 0 || files.length < names.length) {
  console.error(`Benchmarks: ${all.map((file) => file.slice(0, -SUFFIX.length)).join(', ')}`);
  process.exit(2);
}

/** All together; what is not done by then is given up, so that a run always ends. */
const LIMIT_MS = Number(process.env['BENCH_MINUTES'] ?? 10) * 60_000;
const startedAt = performance.now();
const postgres = await FaultPostgres.open();
const rows: Row[] = [];
const problems: string[] = [];
try {
  for (const file of files) await runOne(file);
  const machine = await machineOf((text) => postgres.query(text));
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(`\n${[...TABLE_HEAD, ...rows.map(tableLine)].join('\n')}\n\n${machine.text}; ${seconds} s`);
  const json = JSON.stringify({ size, seconds, machine, rows }, null, 2);
  if (jsonFile === undefined) console.log(json);
  else await writeFile(jsonFile, `${json}\n`);
} finally {
  await postgres.close();
}
for (const row of rows) {
  const isFinite = Number.isFinite(row.ours) && (row.ratio === null || Number.isFinite(row.ratio));
  if (!isFinite) problems.push(`${row.path}, ${row.variant}: no figure`);
}
for (const problem of problems) console.error(problem);
process.exit(problems.length === 0 ? 0 : 1);

async function runOne(file: string): Promise<void> {
  const name = file.slice(0, -SUFFIX.length);
  console.log(`\n== ${name} (${Math.round((performance.now() - startedAt) / 1_000)} s)`);
  const child = forkTypeScript(`bench/${file}`, ['--expose-gc']);
  child.process.stdout?.pipe(process.stdout);
  const outOfTime = setTimeout(() => child.process.kill('SIGKILL'), LIMIT_MS - (performance.now() - startedAt));
  try {
    await Promise.race([once(child.process, 'message'), child.exited]);
    const request: BenchRequest = { postgresUrl: postgres.url(), size, profile: isProfiled ? name : undefined };
    const found = (await new ChildCalls(child.process).call('run', request)) as Row[];
    if (found.length === 0) problems.push(`${name}: measured nothing`);
    rows.push(...found);
  } catch (error) {
    problems.push(`${name}: ${String(error)}\n${child.output()}`);
  } finally {
    clearTimeout(outOfTime);
    if (child.process.connected) child.process.disconnect();
    await child.exited;
  }
}
