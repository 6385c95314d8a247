import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { StoreCorruptError, StoreForeignError, StoreNewerError } from './errors.js';
import { APPLICATION_ID, MIGRATIONS } from './schema.js';

// Of the SQLite file format: https://www.sqlite.org/fileformat2.html
const MAGIC = 'SQLite format 3\0';
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;
const FIRST_PAGE_AT = 100;
const CELLS_AT = FIRST_PAGE_AT + 3;
const LEAF_PAGE = 0x0d;
const MIN_PAGE_BYTES = 512;

/**
 * Refuses what the file's first bytes tell: damage, a newer version, something else. Before SQLite opens it: SQLite
 * takes an empty file for a new one and deletes its log, and locks the file of something else. What only the log tells
 * is left to SQLite. Not to be called while this process has the file open: closing it would drop the locks.
 */
export function refuseByHead(file: string): void {
  const size = sizeOf(file);
  if (size === 0 && sizeOf(`${file}-wal`) === 0) return;
  if (size < MIN_PAGE_BYTES) throw new StoreCorruptError(file, `only ${size} bytes are left of it`);
  const head = firstBytes(file, MIN_PAGE_BYTES);
  if (head.toString('latin1', 0, MAGIC.length) !== MAGIC) throw new StoreCorruptError(file, 'it is no database');
  refuseVersion(file, head.readInt32BE(APPLICATION_ID_AT), head.readInt32BE(USER_VERSION_AT), hasTables(head));
}

/** @param isUsed whether it has tables. */
export function refuseVersion(file: string, applicationId: number, version: number, isUsed: boolean): void {
  if (applicationId === 0 && version === 0 && !isUsed) return;
  if (applicationId !== APPLICATION_ID) throw new StoreForeignError(file);
  if (version > MIGRATIONS.length) throw new StoreNewerError(file, version, MIGRATIONS.length);
  // The version is written with the first tables, in one transaction.
  if (version < 1) throw new StoreCorruptError(file, `its version is ${version}`);
}

function hasTables(head: Buffer): boolean {
  return head[FIRST_PAGE_AT] !== LEAF_PAGE || head.readUInt16BE(CELLS_AT) > 0;
}

/** 0 when there is none. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function firstBytes(file: string, count: number): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(count);
    readSync(descriptor, bytes, 0, count, 0);
    return bytes;
  } finally {
    closeSync(descriptor);
  }
}
