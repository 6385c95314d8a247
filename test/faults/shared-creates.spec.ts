import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { createTestStores, newTask, type TestStores } from '../support/stores.js';
import { FaultProxy } from './support/fault-proxy.js';

describe('Creates of one process', () => {
  let opened: OpenTestDatabase;
  let proxy: FaultProxy;
  let dataSource: DataSource;
  let stores: TestStores;

  beforeEach(async () => {
    opened = await openTestDatabase();
    const port = Number(new URL(opened.database.url).port);
    proxy = await FaultProxy.open(() => port);
    const url = new URL(opened.database.url);
    url.port = String(proxy.port);
    dataSource = await new DataSource({
      type: 'postgres',
      url: url.href,
      entities: opened.dataSource.options.entities ?? [],
      poolSize: 10,
    }).initialize();
    stores = createTestStores(dataSource);
  });
  afterEach(async () => {
    await proxy.close();
    await stores.close();
    await dataSource.destroy();
    await opened.close();
  });

  it('go on when the connection that carries some of them falls silent, those included', async () => {
    await Promise.all(Array.from({ length: 40 }, () => stores.registry.createTask(newTask())));
    proxy.muteAt = 'mute-me';
    const muted = stores.registry.createTask(newTask({ clientRequestId: 'mute-me' }));
    const beside = Array.from({ length: 20 }, () => stores.registry.createTask(newTask()));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const after = Array.from({ length: 20 }, () => stores.registry.createTask(newTask()));
    const creations = await Promise.all([muted, ...beside, ...after]);
    expect(creations.filter(({ created }) => created)).toHaveLength(41);
    expect(await opened.dataSource.query('select count(*)::int as tasks from taskbridge_tasks')).toEqual([
      { tasks: 81 },
    ]);
  });
});
