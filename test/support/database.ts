import { Client } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { runTaskBridgeMigrations } from '../../lib/migrations/index.js';

/** One fresh, empty database of the test server. */
export interface TestDatabase {
  readonly url: string;
  /** Ends every connection to it and removes it. */
  drop(): Promise<void>;
}

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** Creates a database that no other test sees. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = serverUrl();
  const name = `tb_${uuidv7().replaceAll('-', '')}`;
  await onServer(`create database "${name}"`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => onServer(`drop database if exists "${name}" with (force)`) };
}

/** An initialised DataSource whose database has the library's tables; destroy it before dropping the database. */
export async function createTestDataSource(
  database: TestDatabase,
  extra: Partial<PostgresOptions> = {},
): Promise<DataSource> {
  const dataSource = new DataSource({
    type: 'postgres',
    url: database.url,
    entities: [...TASKBRIDGE_ENTITIES],
    ...extra,
  });
  await dataSource.initialize();
  await runTaskBridgeMigrations(dataSource);
  return dataSource;
}

export interface OpenTestDatabase {
  readonly database: TestDatabase;
  readonly dataSource: DataSource;
  /** Ends the DataSource and removes the database. */
  readonly close: () => Promise<void>;
}

/** A test's database with its DataSource, and one call that ends both. */
export async function openTestDatabase(extra: Partial<PostgresOptions> = {}): Promise<OpenTestDatabase> {
  const database = await createTestDatabase();
  const dataSource = await createTestDataSource(database, extra);
  const close = async (): Promise<void> => {
    if (dataSource.isInitialized) await dataSource.destroy();
    await database.drop();
  };
  return { database, dataSource, close };
}

function serverUrl(): string {
  const url = process.env.TASKBRIDGE_TEST_DATABASE_URL;
  if (!url)
    throw new Error('TASKBRIDGE_TEST_DATABASE_URL is not set: run the tests through jest and its global set-up');
  return url;
}

async function onServer(statement: string): Promise<void> {
  const client = new Client({ connectionString: serverUrl() });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
