import { statfsSync } from 'node:fs';
import path from 'node:path';
import { StoreDiskFullError } from './errors.js';
import { sizeOf } from './file-head.js';
import type { StoreSettings } from './settings.js';
import type { StoreDatabase } from './store-database.js';

/** About what a small change writes to the log: a handful of pages. */
const CHANGE_BYTES = 24 * 1024;
const MARGIN_BYTES = 128 * 1024;
const CHECK_EVERY_BYTES = 512 * 1024;
/** Of the room that is left, where that is more: others take some of it meanwhile. */
const CHECK_SHARE = 256;
const MAX_CHECK_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * Keeps output and receipts from taking the last room of the file system: emptying the log may lengthen the file, and
 * without that room nothing could be written again, no final and no acknowledgement.
 */
export class DiskRoom {
  /** What may be written before the next look. */
  private uncheckedBytes = 0;

  constructor(
    private readonly database: StoreDatabase,
    private readonly settings: StoreSettings,
    /** The largest that may come. */
    private readonly finalBytes: number,
  ) {}

  /** After {@link isShort}. @throws StoreDiskFullError unless there is room for it, a final and what the log holds. */
  require(bytes: number): void {
    if (this.uncheckedBytes > 0 || this.spareAfter(2 * bytes + MARGIN_BYTES) >= 0) return;
    const cause = new Error('Finals, and emptying the log, need the room that is left');
    throw new StoreDiskFullError(this.settings.path, cause);
  }

  /** To be asked before each change: whether room may run out before the next look. Then every change looks. */
  isShort(bytes: number): boolean {
    this.uncheckedBytes -= bytes + CHANGE_BYTES;
    if (this.uncheckedBytes > 0) return false;
    const spareBytes = this.spareAfter(2 * (bytes + CHECK_EVERY_BYTES));
    if (spareBytes < 0) return true;
    this.uncheckedBytes = Math.min(
      Math.max(CHECK_EVERY_BYTES, Math.floor(spareBytes / CHECK_SHARE)),
      MAX_CHECK_EVERY_BYTES,
    );
    return false;
  }

  /** What is left after a change of so many bytes and a final, in the log and then in the file; negative: no room. */
  private spareAfter(changeBytes: number): number {
    const { path: file } = this.settings;
    const bytes = changeBytes + this.finalBytes;
    const { pages, freePages, pageBytes } = this.database.pages();
    const length = Math.max(pages * pageBytes, (pages - freePages) * pageBytes + bytes);
    return freeBytes(file) - bytes - Math.max(0, length - sizeOf(file));
  }
}

function freeBytes(file: string): number {
  const { bavail, bsize, blocks } = statfsSync(path.dirname(file));
  // Some file systems tell no sizes.
  return blocks > 0 ? bavail * bsize : Number.MAX_SAFE_INTEGER;
}
