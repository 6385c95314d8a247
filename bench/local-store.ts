import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openLocalTaskStore, type LocalTaskStore } from '@taskbridge/local-store';
import { findSqlite } from '../packages/local-store/src/sqlite/find-sqlite.js';

// The local task store beside bare SQLite: one table, one insert for each chunk, the same driver, file system and
// synchronous mode. Pairs take turns, and the median of their ratios is told, so that a busy machine harms both alike.
// LOCAL_STORE_BENCH_FOLDER chooses the disk.

const CHUNK = Buffer.alloc(4096, 0x78);
const PAIRS = Number(process.env['LOCAL_STORE_BENCH_PAIRS'] ?? 9);
const PENDING = 100_000;
const PENDING_BYTES = 512;
const TASK = { taskId: 'task-1', executionAttemptId: 'attempt-1' };
const MIB = 1024 * 1024;

const folder = mkdtempSync(path.join(process.env['LOCAL_STORE_BENCH_FOLDER'] ?? tmpdir(), 'taskbridge-bench-'));
let files = 0;
try {
  console.log(`Node ${process.version}, medians of ${PAIRS} pairs.\n`);
  console.log('| 4 KiB chunks | bare SQLite, per s | store, per s | ratio |');
  console.log('|---|---:|---:|---:|');
  compareAppends('stored when the process dies (`synchronous=normal`)', 'normal', 3000);
  compareAppends('stored when power fails (`synchronous=full`)', 'full', 400);
  compareAppends('at the cap of 64 MiB: for each append one is rotated out (`normal`)', 'normal', 3000, 64 * MIB);
  compareAppends('at a cap of 4 MiB (`normal`)', 'normal', 3000, 4 * MIB);
  console.log('');
  measureOpening();
  measureMemory();
} finally {
  rmSync(folder, { recursive: true });
}

function compareAppends(name: string, mode: 'normal' | 'full', chunks: number, spoolCapBytes = 256 * MIB): void {
  const pairs = Array.from({ length: PAIRS }, () => ({
    bare: bareAppends(mode, chunks),
    store: storeAppends(mode, chunks, spoolCapBytes),
  }));
  const columns = [
    median(pairs.map(({ bare }) => bare)).toFixed(0),
    median(pairs.map(({ store }) => store)).toFixed(0),
    median(pairs.map(({ bare, store }) => store / bare)).toFixed(2),
  ];
  console.log(`| ${[name, ...columns].join(' | ')} |`);
}

function bareAppends(mode: 'normal' | 'full', chunks: number): number {
  const database = findSqlite()(nextFile());
  database.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma cache_size = -2000');
  database.exec(`pragma synchronous = ${mode}; create table chunks (n integer primary key, payload blob)`);
  const insert = database.prepare('insert into chunks (payload) values (?)');
  const rate = perSecond(chunks, () => insert.run(CHUNK));
  database.close();
  return rate;
}

function storeAppends(mode: 'normal' | 'full', chunks: number, spoolCapBytes: number): number {
  const store = openLocalTaskStore({
    path: nextFile(),
    spoolCapBytes,
    chunkDurability: mode === 'full' ? 'power-loss' : 'process-crash',
  });
  start(store);
  // A spool that is full from the start has something to rotate.
  const before = spoolCapBytes < 256 * MIB ? spoolCapBytes / CHUNK.length : 0;
  for (let n = 0; n < before; n += 1) append(store, CHUNK);
  const rate = perSecond(chunks, () => append(store, CHUNK));
  store.close();
  return rate;
}

function measureOpening(): void {
  const file = nextFile();
  const filled = openLocalTaskStore({ path: file });
  start(filled);
  for (let n = 0; n < PENDING; n += 1) append(filled, CHUNK.subarray(0, PENDING_BYTES));
  filled.close();
  const times = Array.from({ length: PAIRS }, () => {
    const startedAt = performance.now();
    openLocalTaskStore({ path: file }).close();
    return performance.now() - startedAt;
  });
  console.log(
    `Opening (with its check of the whole file) and closing, ${PENDING} messages pending: ${median(times).toFixed(0)} ms`,
  );
}

/** Four caps of output through a full spool, then the backlog read to its end. */
function measureMemory(): void {
  const store = openLocalTaskStore({ path: nextFile(), spoolCapBytes: 16 * MIB });
  start(store);
  const fill = (bytes: number): void => {
    for (let sent = 0; sent < bytes; sent += CHUNK.length) append(store, CHUNK);
  };
  const read = (): number => [...countBytes(store)].length;
  fill(16 * MIB);
  read();
  const before = rssMib();
  fill(64 * MIB);
  const messages = read();
  console.log(
    `Memory: ${before} MiB resident with a full spool of 16 MiB; ${rssMib()} MiB after four more and reading ${messages} messages`,
  );
  store.close();
}

function* countBytes(store: LocalTaskStore): Iterable<number> {
  for (const { byteCount } of store.unackedMessages()) yield byteCount;
}

function start(store: LocalTaskStore): void {
  store.recordReceived(TASK);
  store.recordStarted(TASK.taskId, TASK.executionAttemptId);
}

function append(store: LocalTaskStore, payload: Uint8Array): void {
  store.appendOutputChunk({ ...TASK, stream: 'stdout', payload });
}

function perSecond(times: number, call: () => void): number {
  const startedAt = performance.now();
  for (let n = 0; n < times; n += 1) call();
  return (times * 1000) / (performance.now() - startedAt);
}

function rssMib(): number {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().rss / MIB);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function nextFile(): string {
  files += 1;
  return path.join(folder, `${files}.db`);
}
