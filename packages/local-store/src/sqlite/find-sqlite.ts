import { SqliteMissingError } from '../errors.js';
import { libsql } from './libsql.js';
import { nodeSqlite } from './node-sqlite.js';
import type { SqliteDriver } from './sqlite-database.js';

/** Node's own SQLite where there is one, else the optional dependency `libsql`. Their locks and files are the same. */
export function findSqlite(): SqliteDriver {
  const driver = nodeSqlite() ?? libsql();
  if (driver === undefined) throw new SqliteMissingError();
  return driver;
}
