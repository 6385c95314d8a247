import { StoreForeignError, StoreNewerError } from './errors.js';
import { APPLICATION_ID, MIGRATIONS } from './schema.js';
import type { SqliteDatabase } from './sqlite/sqlite-database.js';

/** Throws for a newer file, and for one of something else. Only reads. */
export function refuseOthers(database: SqliteDatabase, path: string): void {
  const version = numberOf(database, 'user_version');
  const applicationId = numberOf(database, 'application_id');
  const { tables } = database.prepare('select count(*) as tables from sqlite_schema').get() ?? {};
  const isNew = applicationId === 0 && version === 0 && tables === 0;
  if (!isNew && applicationId !== APPLICATION_ID) throw new StoreForeignError(path);
  if (version > MIGRATIONS.length) throw new StoreNewerError(path, version, MIGRATIONS.length);
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

function numberOf(database: SqliteDatabase, pragma: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`pragma ${pragma}`).get()?.[pragma]);
}
