import { refuseVersion } from './file-head.js';
import { APPLICATION_ID, MIGRATIONS } from './schema.js';
import { holds, numberOf } from './sqlite/questions.js';
import type { SqliteDatabase } from './sqlite/sqlite-database.js';

/** Throws for a newer file, for one of something else, and for one without its version. Only reads. */
export function refuseOthers(database: SqliteDatabase, path: string): void {
  const isUsed = holds(database, 'count(*) > 0 from sqlite_schema');
  refuseVersion(path, numberOf(database, 'application_id'), numberOf(database, 'user_version'), isUsed);
}

/**
 * Brings a new or older file to the version of `migrations`, each in a transaction with its `user_version`: a kill in
 * between leaves the version before.
 */
export function migrate(database: SqliteDatabase, migrations: readonly string[] = MIGRATIONS): void {
  const version = numberOf(database, 'user_version');
  for (const [index, sql] of migrations.entries()) {
    if (index < version) continue;
    database.exec('begin immediate');
    database.exec(`${sql}; pragma application_id = ${APPLICATION_ID}; pragma user_version = ${index + 1}; commit`);
  }
}
