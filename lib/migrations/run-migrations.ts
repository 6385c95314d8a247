import { DataSource, type DataSourceOptions, type QueryRunner } from 'typeorm';
import { schemaOf } from '../stores/table-names.js';
import { createTaskBridgeMigrations } from './taskbridge-migrations.js';

/** History of the migrations that `runTaskBridgeMigrations` has applied; it lies in the DataSource's schema. */
export const MIGRATIONS_TABLE = 'taskbridge_migrations';

/** First key of the advisory lock; the second one is the schema, so that two schemas migrate side by side. */
const LOCK_SPACE = 1_952_608_354;

/** Waits for whoever migrates this schema now; a transaction's lock, so that it also holds behind PgBouncer. */
const TAKE_LOCK = `select pg_advisory_xact_lock($1, hashtext(coalesce($2, current_schema())))`;

/** The wait may be long, and the connection idles in its transaction while the other one migrates. */
const NO_TIMEOUTS = `select set_config(name, '0', true)
from unnest(array['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) as name`;

const SCHEMA_EXISTS = `select to_regnamespace(quote_ident($1)) is not null as exists`;

/**
 * Brings the library's tables in the DataSource's schema up to date, creating the schema if it is missing. It uses
 * connections of its own, so the given DataSource need not be initialised and none of the host's migrations run. Any
 * number of processes may call it at once: one applies, the others wait and find nothing left to do.
 * Returns the names of the migrations it applied.
 */
export async function runTaskBridgeMigrations(host: DataSource): Promise<string[]> {
  const dataSource = new DataSource(migrationOptions(host));
  await dataSource.initialize();
  try {
    return await underLock(dataSource, () => migrate(dataSource));
  } finally {
    await dataSource.destroy();
  }
}

function migrationOptions(host: DataSource): DataSourceOptions {
  if (host.options.type !== 'postgres') {
    throw new TypeError(`TaskBridge needs a PostgreSQL DataSource, not ${host.options.type}`);
  }
  return {
    ...host.options,
    entities: [],
    subscribers: [],
    migrations: createTaskBridgeMigrations(),
    migrationsTableName: MIGRATIONS_TABLE,
    migrationsRun: false,
    synchronize: false,
    dropSchema: false,
    cache: false,
    poolSize: 2,
    extra: { ...host.options.extra, max: 2, min: 0 },
  };
}

async function underLock<T>(dataSource: DataSource, work: () => Promise<T>): Promise<T> {
  const holder = dataSource.createQueryRunner();
  try {
    await holder.startTransaction();
    await holder.query(NO_TIMEOUTS);
    await holder.query(TAKE_LOCK, [LOCK_SPACE, schemaOf(dataSource) ?? null]);
    const result = await work();
    await holder.commitTransaction();
    return result;
  } finally {
    await giveBack(holder);
  }
}

async function giveBack(runner: QueryRunner): Promise<void> {
  if (runner.isTransactionActive) await runner.rollbackTransaction();
  await runner.release();
}

async function migrate(dataSource: DataSource): Promise<string[]> {
  await createSchemaIfMissing(dataSource);
  const applied = await dataSource.runMigrations({ transaction: 'each' });
  return applied.map((migration) => migration.name);
}

/** Asked first, because `create schema if not exists` needs the right to create even where the schema exists. */
async function createSchemaIfMissing(dataSource: DataSource): Promise<void> {
  const schema = schemaOf(dataSource);
  if (schema === undefined) return;
  const [row] = await dataSource.query<{ exists: boolean }[]>(SCHEMA_EXISTS, [schema]);
  if (row === undefined || !row.exists) await dataSource.query(`create schema "${schema.replaceAll('"', '""')}"`);
}
