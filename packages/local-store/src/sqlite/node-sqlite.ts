import { primaryCode, SqliteFailure, type SqliteDriver, type SqliteRow, type SqliteValue } from './sqlite-database.js';

interface NodeStatement {
  get(...values: SqliteValue[]): SqliteRow | undefined;
  all(...values: SqliteValue[]): SqliteRow[];
  run(...values: SqliteValue[]): { changes: number | bigint };
}

interface NodeDatabase {
  exec(sql: string): void;
  prepare(sql: string): NodeStatement;
  close(): void;
}

interface NodeSqlite {
  DatabaseSync: new (path: string) => NodeDatabase;
}

/** The SQLite inside Node (22.13 and later); undefined where there is none. */
export function nodeSqlite(): SqliteDriver | undefined {
  // Node 22.0 to 22.2 do not have the function.
  const { getBuiltinModule } = process as Partial<typeof process>;
  const sqlite = getBuiltinModule?.('node:sqlite' as 'node:fs') as unknown as NodeSqlite | undefined;
  if (sqlite === undefined) return undefined;
  const { DatabaseSync } = sqlite;
  return (path) => {
    const database = attempt(() => new DatabaseSync(path));
    return {
      exec: (sql) => attempt(() => database.exec(sql)),
      prepare: (sql) => {
        const statement = attempt(() => database.prepare(sql));
        return {
          get: (...values) => attempt(() => statement.get(...values)),
          all: (...values) => attempt(() => statement.all(...values)),
          run: (...values) => Number(attempt(() => statement.run(...values)).changes),
        };
      },
      close: () => attempt(() => database.close()),
      abandon: () => attempt(() => database.close()),
    };
  };
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    const { message, errcode } = error as { message: string; errcode?: number };
    throw new SqliteFailure(message, primaryCode(errcode), error);
  }
}
