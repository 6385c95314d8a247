import { statfsSync } from 'node:fs';
import path from 'node:path';
import { StoreDiskFullError } from './errors.js';
import { sizeOf } from './file-head.js';
import { finalsFileBytes } from './file-room.js';
import { fileSizeLimit } from './file-size-limit.js';
import type { SpoolCounters } from './spool-counters.js';
import type { StoreSettings } from './settings.js';
import type { StoreDatabase } from './store-database.js';

/** About what a small change writes to the log: a handful of pages. */
const CHANGE_BYTES = 24 * 1024;
const MARGIN_BYTES = 128 * 1024;
/** Not for finals either: without it in the log, nothing could be acknowledged or rotated out. */
const FINAL_MARGIN_BYTES = 64 * 1024;
const CHECK_EVERY_BYTES = 512 * 1024;
/** Of the room that is left, where that is more: others take some of it meanwhile. */
const CHECK_SHARE = 256;
const MAX_CHECK_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * Keeps output and receipts from taking the last room of the file system, or of the size that a file may have: emptying
 * the log may lengthen the file, and without that room nothing could be written again, no final and no acknowledgement.
 */
export class DiskRoom {
  /** What may be written before the next look. */
  private uncheckedBytes = 0;

  constructor(
    private readonly database: StoreDatabase,
    private readonly settings: StoreSettings,
    private readonly counters: SpoolCounters,
    /** The largest that may come. */
    private readonly finalBytes: number,
  ) {}

  /**
   * After {@link isShort}. A new task brings its reserve.
   *
   * @throws StoreDiskFullError unless there is room for it, the finals of all open tasks and what the log holds.
   */
  require(bytes: number, reserveBytes = 0): void {
    if (this.uncheckedBytes > 0 || this.spareAfter(2 * bytes + MARGIN_BYTES, reserveBytes) >= 0) return;
    const cause = new Error('Finals, and emptying the log, need the room that is left');
    throw new StoreDiskFullError(this.settings.path, cause);
  }

  /** To be asked before each change: whether room may run out before the next look. Then every change looks. */
  isShort(bytes: number, reserveBytes = 0): boolean {
    this.uncheckedBytes -= bytes + reserveBytes + CHANGE_BYTES;
    if (this.uncheckedBytes > 0) return false;
    const spareBytes = this.spareAfter(2 * (bytes + CHECK_EVERY_BYTES), reserveBytes);
    if (spareBytes < 0) return true;
    this.uncheckedBytes = Math.min(
      Math.max(CHECK_EVERY_BYTES, Math.floor(spareBytes / CHECK_SHARE)),
      MAX_CHECK_EVERY_BYTES,
    );
    return false;
  }

  /** Whether finals of so many bytes leave the room that acknowledgements and a rotation need; and what would help. */
  forFinals(bytes: number): 'enough' | 'file-is-short' | 'log-is-short' {
    const { path: file } = this.settings;
    const limit = fileSizeLimit();
    const logBytes = bytes + CHANGE_BYTES + FINAL_MARGIN_BYTES;
    const free = freeBytes(file) - logBytes;
    if (free < 0 || sizeOf(`${file}-wal`) + logBytes > limit) return 'log-is-short';
    const growth = this.lengthWith(bytes + CHANGE_BYTES) - sizeOf(file);
    return growth > Math.min(free, Math.max(0, limit - sizeOf(file))) ? 'file-is-short' : 'enough';
  }

  /** What is left after a change of so many bytes and all finals, in the log and then in the file; negative: no room. */
  private spareAfter(changeBytes: number, reserveBytes: number): number {
    const { reservedBytes, openTasks } = this.counters.current;
    const finals = finalsFileBytes(reservedBytes + reserveBytes, openTasks + Number(reserveBytes > 0));
    const logBytes = changeBytes + this.finalBytes;
    const length = this.lengthWith(changeBytes + Math.max(finals, this.finalBytes));
    const growth = Math.max(0, length - sizeOf(this.settings.path));
    return Math.min(freeBytes(this.settings.path) - logBytes - growth, fileSizeLimit() - length);
  }

  /** Of the file with so many more bytes, once the log is emptied into it. */
  private lengthWith(bytes: number): number {
    const { pages, freePages, pageBytes } = this.database.pages();
    return Math.max(pages * pageBytes, (pages - freePages) * pageBytes + bytes);
  }
}

function freeBytes(file: string): number {
  const { bavail, bsize, blocks } = statfsSync(path.dirname(file));
  // Some file systems tell no sizes.
  return blocks > 0 ? bavail * bsize : Number.MAX_SAFE_INTEGER;
}
