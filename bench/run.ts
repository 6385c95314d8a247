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
const KNOWN_OPTION = /^--(?:smoke|cpu-prof|json=.+)$/;
const unknown = options.find((option) => !KNOWN_OPTION.test(option));
const files = names.length === 0 ? all : all.filter((file) => names.includes(file.slice(0, -SUFFIX.length)));
if (files.length < Math.max(1, names.length) || unknown !== undefined) {
  console.error(`${unknown ?? names.join(' ')}: options are --smoke, --cpu-prof and --json=file`);
  console.error(`Benchmarks: ${all.map((file) => file.slice(0, -SUFFIX.length)).join(', ')}`);
  process.exit(2);
}

/** All together; what is not done by then is given up, so that a run always ends. */
const LIMIT_MS = Number(process.env['BENCH_MINUTES'] ?? 10) * 60_000;
/** For a benchmark to end what it has started. */
const END_GRACE_MS = 10_000;
const startedAt = performance.now();
const postgres = await FaultPostgres.open();
const rows: Row[] = [];
const problems: string[] = [];
try {
  for (const file of files) {
    if (performance.now() - startedAt < LIMIT_MS) await runOne(file);
    else problems.push(`${file}: not begun, the time is over (BENCH_MINUTES)`);
  }
  const machine = await machineOf((text) => postgres.query(text));
  const seconds = Math.round((performance.now() - startedAt) / 1_000);
  console.log(`\n${[...TABLE_HEAD, ...rows.map(tableLine)].join('\n')}\n\n${machine.text}; ${seconds} s`);
  const json = JSON.stringify({ date: new Date().toISOString(), size, seconds, machine, rows }, null, 2);
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
  let taken = 0;
  let isOver = false;
  child.process.on('message', (message: { row?: Row }) => {
    if (message.row === undefined) return;
    rows.push(message.row);
    taken += 1;
  });
  const end = (): void => {
    isOver = true;
    child.process.kill('SIGTERM');
    setTimeout(() => child.process.kill('SIGKILL'), END_GRACE_MS).unref();
  };
  const outOfTime = setTimeout(end, LIMIT_MS - (performance.now() - startedAt));
  try {
    await Promise.race([once(child.process, 'message'), child.exited]);
    const request: BenchRequest = { postgresUrl: postgres.url(), size, profile: isProfiled ? name : undefined };
    await new ChildCalls(child.process).call('run', request);
    if (taken === 0) problems.push(`${name}: measured nothing`);
  } catch (error) {
    problems.push(
      isOver
        ? `${name}: not finished, the time is over (BENCH_MINUTES)`
        : `${name}: ${String(error)}\n${child.output()}`,
    );
  } finally {
    clearTimeout(outOfTime);
    if (child.process.connected) child.process.disconnect();
    await child.exited;
  }
}
