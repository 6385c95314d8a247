import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { StoreCorruptError, StoreUnavailableError } from './errors.js';
import { migrate, refuseOthers } from './migrations.js';
import { tellingFailures } from './store-failures.js';
import type { StoreSettings } from './settings.js';
import { findSqlite } from './sqlite/find-sqlite.js';
import type { SqliteDatabase, SqliteDriver } from './sqlite/sqlite-database.js';

/** An open file of the newest version that no other process can open. */
export interface StoreFile {
  database: SqliteDatabase;
  /** Held until the file is closed; the system frees it when the process dies. */
  lock: SqliteDatabase;
  /** Where a damaged file was moved to by this open. */
  setAsidePath: string | null;
}

/** Creates what is missing: the folder with mode 0700, the files with mode 0600. */
export function openStoreFile(settings: StoreSettings): StoreFile {
  const open = findSqlite();
  createPrivately(settings.path);
  const lock = lockStore(open, settings);
  try {
    return { lock, ...openOrSetAside(open, settings) };
  } catch (error) {
    lock.close();
    throw error;
  }
}

// A file of its own is locked, so that the lock also covers setting a damaged store aside. Nothing is ever written to it.
function lockStore(open: SqliteDriver, { path: file, busyTimeoutMs }: StoreSettings): SqliteDatabase {
  return tellingFailures(file, () =>
    openWith(open, `${file}.lock`, (lock) => {
      lock.exec(`pragma busy_timeout = ${busyTimeoutMs}; pragma journal_mode = memory; begin exclusive`);
    }),
  );
}

function openOrSetAside(open: SqliteDriver, settings: StoreSettings): Omit<StoreFile, 'lock'> {
  try {
    return { database: openChecked(open, settings), setAsidePath: null };
  } catch (error) {
    if (settings.onCorrupt !== 'set-aside' || !(error instanceof StoreCorruptError)) throw error;
    const setAsidePath = setAside(settings.path);
    createPrivately(settings.path);
    return { database: openChecked(open, settings), setAsidePath };
  }
}

function openChecked(open: SqliteDriver, settings: StoreSettings): SqliteDatabase {
  return tellingFailures(settings.path, () => openWith(open, settings.path, (database) => prepare(database, settings)));
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
  refuseOthers(database, settings.path);
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma fullfsync = on');
  database.exec('pragma wal_checkpoint(passive); pragma foreign_keys = on; pragma cache_size = -2000');
  refuseDamaged(database, settings.path);
  migrate(database);
  if (settings.maxFileBytes !== null) {
    const { page_size: pageBytes } = database.prepare('pragma page_size').get() ?? {};
    database.exec(`pragma max_page_count = ${Math.ceil(settings.maxFileBytes / Number(pageBytes))}`);
  }
}

function refuseDamaged(database: SqliteDatabase, file: string): void {
  const { page_count: pages } = database.prepare('pragma page_count').get() ?? {};
  const { page_size: pageBytes } = database.prepare('pragma page_size').get() ?? {};
  const missing = Number(pages) * Number(pageBytes) - statSync(file).size;
  if (missing > 0 && !existsWithBytes(`${file}-wal`)) throw new StoreCorruptError(file, `${missing} bytes are missing`);
  const { quick_check: finding } = database.prepare('pragma quick_check(1)').get() ?? {};
  if (finding !== 'ok') throw new StoreCorruptError(file, String(finding));
}

function existsWithBytes(file: string): boolean {
  return (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
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

function createPrivately(file: string): void {
  try {
    createFolder(path.dirname(file));
    closeSync(openSync(file, 'a', 0o600));
    closeSync(openSync(`${file}.lock`, 'a', 0o600));
  } catch (error) {
    throw new StoreUnavailableError(file, error);
  }
}

/** Step by step: the recursive `mkdirSync` never returns where a parent is a file system without folders, as `/proc`. */
function createFolder(folder: string): void {
  if (existsSync(folder)) return;
  const parent = path.dirname(folder);
  createFolder(parent);
  mkdirSync(folder, { mode: 0o700 });
  syncFolder(parent);
}

/** A new name survives a loss of power once its folder is on disk. Windows has no such call and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
