/** What the store binds and reads. Blobs are read as `Uint8Array`. */
export type SqliteValue = string | number | null | Uint8Array;

export type SqliteRow = Record<string, SqliteValue>;

/** A prepared statement. Each call runs it to its end, so no read is left open. */
export interface SqliteStatement {
  /** The first row. */
  get(...values: SqliteValue[]): SqliteRow | undefined;
  all(...values: SqliteValue[]): SqliteRow[];
  /** Resolves with the number of rows changed by the statement itself, without those of triggers. */
  run(...values: SqliteValue[]): number;
}

/** One connection to one file: the little of SQLite that the store needs, the same for every driver. */
export interface SqliteDatabase {
  exec(sql: string): void;
  prepare(sql: string): SqliteStatement;
  /** Lets go of the file and its locks. */
  close(): void;
  /** Closes without a write. With libsql the locks last, where statements were prepared, until those are collected. */
  abandon(): void;
}

/** A driver: opens the file, or creates it. Throws {@link SqliteFailure}, as do all calls on what it opened. */
export type SqliteDriver = (path: string) => SqliteDatabase;

/** SQLite's primary result codes that the store tells apart. */
export const SQLITE = {
  busy: 5,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  constraint: 19,
  notADatabase: 26,
} as const;

/** A statement that SQLite refused, with its primary result code; 0 when the driver told none. */
export class SqliteFailure extends Error {
  override readonly name = 'SqliteFailure';

  constructor(
    message: string,
    readonly resultCode: number,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

/** Extended result codes keep the primary one in their lowest byte. */
export function primaryCode(resultCode: unknown): number {
  return typeof resultCode === 'number' ? resultCode & 0xff : 0;
}
