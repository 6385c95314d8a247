import { DataSource } from 'typeorm';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { createTaskBridgeMigrations, runTaskBridgeMigrations } from '../../lib/migrations/index.js';
import { createTestDatabase, openTestDatabase, type TestDatabase } from '../support/database.js';

const TABLES = [
  'taskbridge_attachment_chunks',
  'taskbridge_attachments',
  'taskbridge_events',
  'taskbridge_migrations',
  'taskbridge_processes',
  'taskbridge_receipts',
  'taskbridge_stream_tickets',
  'taskbridge_suspensions',
  'taskbridge_tasks',
];

async function tablesOf(dataSource: DataSource, schema: string): Promise<string[]> {
  const rows = await dataSource.query<{ name: string }[]>(
    `select table_name as name from information_schema.tables where table_schema = $1 order by 1`,
    [schema],
  );
  return rows.map((row) => row.name);
}

async function changesThatTypeOrmWouldMake(dataSource: DataSource): Promise<string[]> {
  const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
  return upQueries.map(({ query }) => query);
}

describe('migrations', () => {
  let database: TestDatabase;
  let dataSource: DataSource;

  beforeEach(async () => {
    database = await createTestDatabase();
    dataSource = await new DataSource({ type: 'postgres', url: database.url }).initialize();
  });

  afterEach(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  it('applies once when three processes run it at the same time', async () => {
    const applied = await Promise.all([1, 2, 3].map(() => runTaskBridgeMigrations(dataSource)));
    expect(applied.flat()).toEqual(['CreateTaskBridgeTables1764000000000', 'CreateStreamTickets1764500000000']);
    expect(await tablesOf(dataSource, 'public')).toEqual(TABLES);
    expect(await runTaskBridgeMigrations(dataSource)).toEqual([]);
  });

  it('creates a schema that is missing and puts everything into it', async () => {
    const elsewhere = new DataSource({ type: 'postgres', url: database.url, schema: 'My schema' });
    await Promise.all([1, 2, 3].map(() => runTaskBridgeMigrations(elsewhere)));
    expect(await tablesOf(dataSource, 'My schema')).toEqual(TABLES);
    expect(await tablesOf(dataSource, 'public')).toEqual([]);
  });

  it('runs through the DataSource of the host as well', async () => {
    const host = new DataSource({
      type: 'postgres',
      url: database.url,
      migrations: createTaskBridgeMigrations(),
      migrationsRun: true,
    });
    await host.initialize();
    await host.destroy();
    expect(await tablesOf(dataSource, 'public')).toEqual(
      [...TABLES, 'migrations'].filter((t) => t !== 'taskbridge_migrations').toSorted(),
    );
  });

  it('takes the tickets back and creates them again', async () => {
    const host = new DataSource({ type: 'postgres', url: database.url, migrations: createTaskBridgeMigrations() });
    await host.initialize();
    await host.runMigrations();
    await host.undoLastMigration();
    expect(await tablesOf(dataSource, 'public')).not.toContain('taskbridge_stream_tickets');
    await host.runMigrations();
    expect(await tablesOf(dataSource, 'public')).toContain('taskbridge_stream_tickets');
    await host.destroy();
  });

  it('refuses a DataSource of another database', async () => {
    const other = new DataSource({ type: 'cockroachdb', url: database.url, timeTravelQueries: false });
    await expect(runTaskBridgeMigrations(other)).rejects.toThrow('TaskBridge needs a PostgreSQL DataSource');
  });
});

describe('entities', () => {
  it('describe exactly the migrated tables', async () => {
    const { dataSource, close } = await openTestDatabase();
    try {
      for (const metadata of dataSource.entityMetadatas) metadata.synchronize = true;
      expect(await changesThatTypeOrmWouldMake(dataSource)).toEqual([]);
      expect(dataSource.entityMetadatas.map(({ tableName }) => tableName).toSorted()).toEqual(
        TABLES.filter((name) => name !== 'taskbridge_migrations'),
      );
      await dataSource.query(`alter table taskbridge_receipts alter column resume_attempts drop default`);
      expect(await changesThatTypeOrmWouldMake(dataSource)).toEqual([
        `ALTER TABLE "taskbridge_receipts" ALTER COLUMN "resume_attempts" SET DEFAULT '0'`,
      ]);
    } finally {
      await close();
    }
  });

  it('leave the tables alone when the host synchronizes its schema', async () => {
    const { database, dataSource, close } = await openTestDatabase();
    try {
      await dataSource.query(`alter table taskbridge_tasks drop column traceparent`);
      const host = new DataSource({
        type: 'postgres',
        url: database.url,
        entities: [...TASKBRIDGE_ENTITIES],
        synchronize: true,
      });
      await host.initialize();
      await host.destroy();
      const columns = await dataSource.query(
        `select 1 from information_schema.columns where table_name = 'taskbridge_tasks' and column_name = 'traceparent'`,
      );
      expect(columns).toEqual([]);
      expect(await tablesOf(dataSource, 'public')).toEqual(TABLES);
    } finally {
      await close();
    }
  });

  it('read names instead of codes and numbers instead of texts', async () => {
    const { dataSource, close } = await openTestDatabase();
    try {
      await dataSource.query(
        `insert into taskbridge_tasks (task_id, owner_id, client_request_id, request_hash, task_type, status, input, metadata, last_seq)
         values ('0199d1b0-0000-7000-8000-000000000001', 'ann', 'r1', 'h', 'demo', 1, '{"a":1}', '{}', 7)`,
      );
      const [entity] = TASKBRIDGE_ENTITIES;
      const task = await dataSource.getRepository(entity).findOneByOrFail({ status: 'RUNNING' });
      expect(task).toMatchObject({ ownerId: 'ann', status: 'RUNNING', lastSeq: 7, input: { a: 1 }, leaseOwner: null });
    } finally {
      await close();
    }
  });
});
