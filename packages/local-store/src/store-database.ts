import { StoreClosedError } from './errors.js';
import { tellingFailures } from './store-failures.js';
import { sizeOf } from './file-head.js';
import { emptyLog, type StoreFile } from './store-file.js';
import type { SqliteStatement } from './sqlite/sqlite-database.js';

/** What a committed change survives. */
export type Durability = 'process-crash' | 'power-loss';

/** Transactions on the open file, and the statements that run in them. */
export class StoreDatabase {
  private isOpen = true;
  private durability: Durability = 'power-loss';
  private readonly begin: SqliteStatement;
  private readonly commit: SqliteStatement;
  private readonly pageCount: SqliteStatement;
  private readonly freePages: SqliteStatement;
  private readonly pageBytes: number;

  constructor(
    private readonly file: StoreFile,
    readonly path: string,
  ) {
    this.begin = this.prepare('begin immediate');
    this.commit = this.prepare('commit');
    this.pageCount = this.prepare('pragma page_count');
    this.freePages = this.prepare('pragma freelist_count');
    this.pageBytes = Number(this.prepare('pragma page_size').get()?.['page_size']);
  }

  prepare(sql: string): SqliteStatement {
    return this.file.database.prepare(sql);
  }

  /** All or nothing of what `change` does. On disk when this returns for `power-loss`, else with the operating system. */
  write<T>(durability: Durability, change: () => T): T {
    return this.read(() => {
      this.switchTo(durability);
      this.begin.run();
      try {
        const result = change();
        this.commit.run();
        return result;
      } catch (error) {
        this.rollBack();
        throw error;
      }
    });
  }

  /** {@link write} for a change that is one statement. */
  writeOne<T>(durability: Durability, change: () => T): T {
    return this.read(() => {
      this.switchTo(durability);
      return change();
    });
  }

  read<T>(query: () => T): T {
    if (!this.isOpen) throw new StoreClosedError(this.path);
    return tellingFailures(this.path, query);
  }

  /** The file's length once the log is emptied into it, and how much of that is free. */
  pages(): { pages: number; freePages: number; pageBytes: number } {
    return {
      pages: Number(this.pageCount.get()?.['page_count']),
      freePages: Number(this.freePages.get()?.['freelist_count']),
      pageBytes: this.pageBytes,
    };
  }

  /** Writes the log's contents into the file and cuts the log off. False when it was empty, or that did not work. */
  emptyLog(): boolean {
    if (!this.isOpen || sizeOf(`${this.path}-wal`) === 0) return false;
    return emptyLog(this.file.database);
  }

  close(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    try {
      tellingFailures(this.path, () => this.file.database.close());
    } finally {
      this.file.lock.close();
      this.file.openFile.release();
    }
  }

  private switchTo(durability: Durability): void {
    if (this.durability === durability) return;
    // In a write-ahead log, `normal` leaves out the fsync of a commit and nothing else.
    this.file.database.exec(`pragma synchronous = ${durability === 'power-loss' ? 'full' : 'normal'}`);
    this.durability = durability;
  }

  private rollBack(): void {
    try {
      this.file.database.exec('rollback');
    } catch {
      // SQLite has rolled back by itself, as it does on a full disk; the failure that led here is thrown.
    }
  }
}
