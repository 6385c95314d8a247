import { createRequire } from 'node:module';
import { primaryCode, SqliteFailure, type SqliteDriver, type SqliteRow, type SqliteValue } from './sqlite-database.js';

type LibsqlRow = Record<string, string | number | null | ArrayBuffer>;

interface LibsqlStatement {
  get(values: SqliteValue[]): LibsqlRow | undefined;
  all(values: SqliteValue[]): LibsqlRow[];
  run(values: SqliteValue[]): { changes: number };
}

interface LibsqlDatabase {
  readonly inTransaction: boolean;
  exec(sql: string): void;
  prepare(sql: string): LibsqlStatement;
  close(): void;
}

type Libsql = new (path: string) => LibsqlDatabase;

/** SQLite as the prebuilt package `libsql`, for a Node without its own; undefined where it is not installed. */
export function libsql(): SqliteDriver | undefined {
  const Database = load();
  if (Database === undefined) return undefined;
  return (path) => {
    const database = attempt(() => new Database(path));
    return {
      exec: (sql) => attempt(() => database.exec(sql)),
      prepare: (sql) => {
        const statement = attempt(() => database.prepare(sql));
        return {
          get: (...values) => {
            const row = attempt(() => statement.get(values));
            return row && sqliteRow(row);
          },
          all: (...values) => attempt(() => statement.all(values)).map(sqliteRow),
          run: (...values) => attempt(() => statement.run(values)).changes,
        };
      },
      close: () => attempt(() => close(database)),
      abandon: () => attempt(() => database.close()),
    };
  };
}

/**
 * Its statements keep the connection, and so the locks, until they are collected as garbage: the locks are given back by
 * leaving everything that holds them.
 */
function close(database: LibsqlDatabase): void {
  try {
    if (database.inTransaction) database.exec('rollback');
    const [mode] = database.prepare('pragma locking_mode').all([]);
    if (mode?.['locking_mode'] === 'exclusive') release(database);
  } catch {
    // Damaged, or no room left to write back: nothing is lost, and the locks go with the process.
  } finally {
    database.close();
  }
}

function release(database: LibsqlDatabase): void {
  database.exec('pragma journal_mode = delete; pragma locking_mode = normal');
  database.prepare('select count(*) from sqlite_schema').all([]);
}

function load(): Libsql | undefined {
  try {
    return createRequire(import.meta.url)('libsql') as Libsql;
  } catch (error) {
    if ((error as { code?: string }).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** It hands out blobs as array buffers. */
function sqliteRow(row: LibsqlRow): SqliteRow {
  const converted: SqliteRow = {};
  for (const [column, value] of Object.entries(row)) {
    converted[column] = typeof value === 'object' && value !== null ? new Uint8Array(value) : value;
  }
  return converted;
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { message, rawCode } = error as { message: string; rawCode?: number };
    // A file that cannot be opened is told as text only: `… local database /no/such/file: 14`.
    const told = rawCode ?? Number(/: (\d+)"?\)?$/.exec(message)?.[1] ?? 0);
    throw new SqliteFailure(message, primaryCode(told), error);
  }
}
