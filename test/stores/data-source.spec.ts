import { DataSource } from 'typeorm';
import { createDirectClient } from '../../lib/stores/direct-client.js';
import { createTestDatabase, createTestDataSource, type TestDatabase } from '../support/database.js';
import { answerTo } from '../support/answers.js';
import { createTestStores, startTask } from '../support/stores.js';

describe('the DataSource of the host', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  it('may name a schema, which everything stays in', async () => {
    const dataSource = await createTestDataSource(database, { schema: 'Jobs' });
    const stores = createTestStores(dataSource);
    const { taskId, attempt } = await startTask(stores);
    const requests = [{ suspendId: 'q', reasonCode: 'R', allowedActions: ['go'] }];
    await stores.suspensions.openSuspensions({ taskId, attempt, requests });
    await stores.suspensions.acceptActionIfOpen(answerTo(taskId));
    expect(await stores.suspensions.listPendingResumeHandoffs(10, 0)).toHaveLength(1);
    expect(await stores.registry.list({ ownerId: 'ann', limit: 10 })).toHaveLength(1);
    const [row] = await dataSource.query<{ count: number }[]>(
      `select count(*)::int from pg_tables where tablename like 'taskbridge%' and schemaname <> 'Jobs'`,
    );
    expect(row?.count).toBe(0);
    await stores.close();
    await dataSource.destroy();
  });

  it('may have sessions with other formats, isolation and parsers', async () => {
    const options = '-c DateStyle=German,DMY -c TimeZone=Asia/Tokyo -c default_transaction_isolation=serializable';
    const dataSource = await createTestDataSource(database, {
      schema: 'Formats',
      isolationLevel: 'REPEATABLE READ',
      parseInt8: true,
      extra: { options },
    });
    const stores = createTestStores(dataSource);
    const { taskId, attempt } = await startTask(stores);
    const at = new Date('2100-02-03T04:05:06.789Z');
    const requests = [{ suspendId: 'q', reasonCode: 'R', allowedActions: ['go'], expiresAt: at }];
    await stores.suspensions.openSuspensions({ taskId, attempt, requests });
    expect((await stores.suspensions.getSuspension(taskId, 'q'))?.expiresAt).toEqual(at);
    expect((await stores.registry.getTask(taskId))?.lastSeq).toBe(2);
    await stores.close();
    await dataSource.destroy();
  });

  it('gives its address, or the direct one, to the connections of the library', async () => {
    const { url } = database;
    const { hostname, port, username, password, pathname } = new URL(url);
    const settings = (dataSource: DataSource, direct?: { host?: string; port?: number; url?: string }): unknown => {
      const client = createDirectClient(dataSource, direct, 'test');
      return [client.host, client.port, client.user, client.database];
    };
    const byUrl = new DataSource({ type: 'postgres', url });
    const byFields = new DataSource({
      type: 'postgres',
      host: hostname,
      port: Number(port),
      username,
      password,
      database: pathname.slice(1),
    });
    const replicated = new DataSource({
      type: 'postgres',
      replication: { master: { url }, slaves: [{ url: 'postgres://reader:x@replica:1/other' }] },
    });
    const here = [hostname, Number(port), username, pathname.slice(1)];
    for (const dataSource of [byUrl, byFields, replicated]) expect(settings(dataSource)).toEqual(here);
    for (const dataSource of [byUrl, byFields, replicated]) {
      expect(settings(dataSource, { host: 'direct.example', port: 7 })).toEqual([
        'direct.example',
        7,
        ...here.slice(2),
      ]);
      expect(settings(dataSource, { url: 'postgres://me:x@elsewhere:8/mine' })).toEqual(['elsewhere', 8, 'me', 'mine']);
    }
    const client = createDirectClient(byUrl, undefined, 'named connection');
    await client.connect();
    const { rows } = await client.query<{ name: string }>(`select current_setting('application_name') as name`);
    expect(rows).toEqual([{ name: 'named connection' }]);
    await client.end();
  });
});
