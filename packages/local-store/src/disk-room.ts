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

/**
 * Keeps output and receipts from taking the last room of the file system: emptying the log may lengthen the file, and
 * without that room nothing could be written again, no final and no acknowledgement.
 */
export class DiskRoom {
  private uncheckedBytes = CHECK_EVERY_BYTES;

  constructor(
    private readonly database: StoreDatabase,
    private readonly settings: StoreSettings,
    /** The largest that may come. */
    private readonly finalBytes: number,
  ) {}

  /** @throws StoreDiskFullError unless there is room for it, for a final and for what the log holds. */
  require(bytes: number): void {
    if (!this.isShort(bytes) || !this.lacks(2 * bytes + MARGIN_BYTES)) return;
    const cause = new Error('Finals, and emptying the log, need the room that is left');
    throw new StoreDiskFullError(this.settings.path, cause);
  }

  /** Whether room may run out before the next look: then every change looks. */
  isShort(bytes: number): boolean {
    this.uncheckedBytes += bytes + CHANGE_BYTES;
    if (this.uncheckedBytes < CHECK_EVERY_BYTES) return false;
    if (this.lacks(2 * (bytes + CHECK_EVERY_BYTES))) return true;
    this.uncheckedBytes = 0;
    return false;
  }

  /** Whether a change of so many bytes and a final find no room, in the log and then in the file. */
  private lacks(changeBytes: number): boolean {
    const { path: file } = this.settings;
    const bytes = changeBytes + this.finalBytes;
    const { pages, freePages, pageBytes } = this.database.pages();
    const length = Math.max(pages * pageBytes, (pages - freePages) * pageBytes + bytes);
    return hasLess(file, bytes + Math.max(0, length - sizeOf(file)));
  }
}

function hasLess(file: string, bytes: number): boolean {
  const { bavail, bsize, blocks } = statfsSync(path.dirname(file));
  // Some file systems tell no sizes.
  return blocks > 0 && bavail * bsize < bytes;
}
