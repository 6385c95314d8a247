import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  statSync,
} from 'node:fs';
import path from 'node:path';
import { LocalStoreError, StoreCorruptError, StoreUnavailableError } from './errors.js';
import { refuseByHead, sizeOf } from './file-head.js';
import { migrate, refuseOthers } from './migrations.js';
import { OpenFile } from './open-files.js';
import { isFull, tellingFailures } from './store-failures.js';
import type { StoreSettings } from './settings.js';
import { findSqlite } from './sqlite/find-sqlite.js';
import { holds, numberOf } from './sqlite/questions.js';
import { SqliteFailure, type SqliteDatabase, type SqliteDriver } from './sqlite/sqlite-database.js';

const HAS_TABLES = `count(*) = 4 from sqlite_schema where type = 'table' and name in
  ('local_task_executions', 'local_task_outbox_messages', 'local_task_spool', 'local_task_streams')`;
const HAS_COUNTERS = 'count(*) = 1 from local_task_spool';
const IS_SOUND = `not exists (select 1 from pragma_quick_check where quick_check <> 'ok')`;
/** Outside ASCII each character must come out of its code point as it is: libsql ends the process over others. */
const IS_TEXT = [
  ['local_task_executions', 'task_id'],
  ['local_task_executions', 'execution_attempt_id'],
  ['local_task_executions', 'final_status'],
  ['local_task_outbox_messages', 'stream'],
  ['local_task_streams', 'stream'],
]
  .map(
    ([table, column]) => `
not exists (
  select 1 from ${table} where ${column} glob '*[^' || char(1) || '-' || char(127) || ']*' and exists (
    with recursive places (n) as (select 1 union all select n + 1 from places where n < length(${column}))
    select 1 from places
    where cast(char(unicode(substr(${column}, n, 1))) as blob) is not cast(substr(${column}, n, 1) as blob)
      -- U+FFFE and U+FFFF, which SQLite reads as U+FFFD.
      and cast(substr(${column}, n, 1) as blob) not in (x'efbfbe', x'efbfbf')))`,
  )
  .join(' and ');
const LOG_SHARE_OF_CAP = 4;
const MIN_LOG_PAGES = 128;
const MAX_LOG_PAGES = 1000;

/** An open file of the newest version that no other process can open. */
export interface StoreFile {
  database: SqliteDatabase;
  /** Held until the file is closed; the system frees it when the process dies. */
  lock: SqliteDatabase;
  /** Keeps this process from opening it twice; to be released after the locks. */
  openFile: OpenFile;
  /** Where a damaged file was moved to by this open. */
  setAsidePath: string | null;
}

/** Creates what is missing: the folder with mode 0700, the files with mode 0600. */
export function openStoreFile(settings: StoreSettings): StoreFile {
  const open = findSqlite();
  const openFile = usingFiles(settings.path, () => new OpenFile(settings.path));
  try {
    refuseUnlocked(settings);
    const lock = lockStore(open, settings);
    try {
      return { openFile, lock, ...openOrSetAside(open, settings, openFile) };
    } catch (error) {
      lock.close();
      throw error;
    }
  } catch (error) {
    openFile.release();
    throw error;
  }
}

/** No lock is left beside a file that is refused: a store in use has its lock already. */
function refuseUnlocked({ path: file, onCorrupt }: StoreSettings): void {
  if (existsSync(`${file}.lock`)) return;
  try {
    usingFiles(file, () => refuseByHead(file));
  } catch (error) {
    if (onCorrupt !== 'set-aside' || !(error instanceof StoreCorruptError)) throw error;
  }
}

// A file of its own is locked, so that the lock also covers setting a damaged store aside. Nothing is ever written to it.
function lockStore(open: SqliteDriver, { path: file, busyTimeoutMs }: StoreSettings): SqliteDatabase {
  createPrivately(file, `${file}.lock`);
  return tellingFailures(file, () =>
    openWith(open, `${file}.lock`, (lock) => {
      lock.exec(`pragma busy_timeout = ${busyTimeoutMs}; pragma journal_mode = memory; begin exclusive`);
    }),
  );
}

function openOrSetAside(
  open: SqliteDriver,
  settings: StoreSettings,
  openFile: OpenFile,
): Pick<StoreFile, 'database' | 'setAsidePath'> {
  try {
    return { database: openChecked(open, settings, openFile), setAsidePath: null };
  } catch (error) {
    if (settings.onCorrupt !== 'set-aside' || !(error instanceof StoreCorruptError)) throw error;
    const setAsidePath = usingFiles(settings.path, () => setAside(settings.path));
    return { database: openChecked(open, settings, openFile), setAsidePath };
  }
}

function openChecked(open: SqliteDriver, settings: StoreSettings, openFile: OpenFile): SqliteDatabase {
  const { path: file } = settings;
  usingFiles(file, () => refuseByHead(file));
  createPrivately(file, file);
  openFile.created();
  return tellingFailures(file, () => openWith(open, file, (database) => prepare(database, settings)));
}

function openWith(open: SqliteDriver, file: string, use: (database: SqliteDatabase) => void): SqliteDatabase {
  const database = open(file);
  try {
    use(database);
    return database;
  } catch (error) {
    database.abandon();
    throw error;
  }
}

function prepare(database: SqliteDatabase, settings: StoreSettings): void {
  // The exclusive mode comes first: then the index of the write-ahead log is kept in memory, not in a shared file.
  database.exec(`pragma busy_timeout = ${settings.busyTimeoutMs}; pragma locking_mode = exclusive`);
  // Questions are asked by way of a temporary table, also on a full disk.
  database.exec('pragma temp_store = memory');
  refuseOthers(database, settings.path);
  refuseDamaged(database, settings.path);
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma fullfsync = on');
  database.exec('pragma foreign_keys = on; pragma cache_size = -2000');
  limitLog(database, settings.spoolCapBytes);
  migrate(database);
  refuseIncomplete(database, settings.path);
  // Of tasks that were received before a task had its own.
  database.exec(`
update local_task_executions set reserve_bytes = ${settings.terminalReserveBytes}
where status in ('received', 'running') and reserve_bytes is null`);
  if (settings.maxFileBytes !== null) {
    const pages = Math.ceil(settings.maxFileBytes / numberOf(database, 'page_size'));
    database.exec(`pragma max_page_count = ${pages}`);
  }
}

/** The log takes up to a quarter of the cap, and what one change writes, before it is emptied into the file. */
function limitLog(database: SqliteDatabase, spoolCapBytes: number): void {
  const pageBytes = numberOf(database, 'page_size');
  const pages = Math.floor(spoolCapBytes / LOG_SHARE_OF_CAP / pageBytes);
  const limit = Math.min(Math.max(pages, MIN_LOG_PAGES), MAX_LOG_PAGES);
  database.exec(`pragma wal_autocheckpoint = ${limit}; pragma journal_size_limit = ${limit * pageBytes}`);
  // On a full disk this may fail: what is stored can be read and delivered all the same.
  emptyLog(database);
}

/** Writes the log's contents into the file and cuts the log off; false when that did not work. */
export function emptyLog(database: SqliteDatabase): boolean {
  try {
    database.exec('pragma wal_checkpoint(truncate)');
    return true;
  } catch (error) {
    if (error instanceof SqliteFailure && isFull(error)) return false;
    throw error;
  }
}

function refuseDamaged(database: SqliteDatabase, file: string): void {
  const missing = numberOf(database, 'page_count') * numberOf(database, 'page_size') - statSync(file).size;
  if (missing > 0 && sizeOf(`${file}-wal`) === 0) throw new StoreCorruptError(file, `${missing} bytes are missing`);
  if (!holds(database, IS_SOUND)) throw new StoreCorruptError(file, 'its structure is broken');
}

function refuseIncomplete(database: SqliteDatabase, file: string): void {
  const isWhole = holds(database, HAS_TABLES) && holds(database, HAS_COUNTERS);
  if (!isWhole) throw new StoreCorruptError(file, 'a table, or the row of its counters, is missing');
  if (!holds(database, IS_TEXT)) throw new StoreCorruptError(file, 'a name in it is no text');
}

function setAside(file: string): string {
  const aside = `${file}.corrupt-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  // The log first: should this end in between, the file is still found damaged.
  for (const suffix of ['-wal', '']) {
    if (existsSync(`${file}${suffix}`)) renameSync(`${file}${suffix}`, `${aside}${suffix}`);
  }
  syncFolder(path.dirname(file));
  return aside;
}

/** An existing file is not opened: closing it again would drop the locks that this process has on it. */
function createPrivately(store: string, file: string): void {
  usingFiles(store, () => {
    createFolder(path.dirname(file));
    if (!createdBefore(() => closeSync(openSync(file, 'wx', 0o600)))) return;
    accessSync(file, constants.R_OK | constants.W_OK);
  });
}

/** Step by step: the recursive `mkdirSync` never returns where a parent is a file system without folders, as `/proc`. */
function createFolder(folder: string): void {
  if (existsSync(folder)) return;
  const parent = path.dirname(folder);
  createFolder(parent);
  createdBefore(() => mkdirSync(folder, { mode: 0o700 }));
  syncFolder(parent);
}

/** Whether another has created it: processes that start at once create the same. */
function createdBefore(create: () => void): boolean {
  try {
    create();
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return true;
  }
}

function usingFiles<T>(store: string, use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw error instanceof LocalStoreError ? error : new StoreUnavailableError(store, error);
  }
}

/** A new name survives a loss of power once its folder is on disk. Windows has no such call and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
