import { DataSource } from 'typeorm';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { createTask, createTestStores, newTask, type TestStores } from '../support/stores.js';

/** Less than one try waits for a row. */
const STATEMENT_TIMEOUT_MS = 120;
const WAITS = `select query_start::text as since from pg_stat_activity
where application_name = 'hurried' and wait_event_type = 'Lock'`;

describe('where a statement may take less time than one try waits for a row, a held row', () => {
  let opened: OpenTestDatabase;
  let hurried: DataSource;
  let stores: TestStores;
  let own: TestStores;

  beforeAll(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
    hurried = await new DataSource({
      type: 'postgres',
      url: opened.database.url,
      entities: opened.dataSource.options.entities ?? [],
      applicationName: 'hurried',
      extra: { statement_timeout: STATEMENT_TIMEOUT_MS },
    }).initialize();
    own = createTestStores(hurried);
  });
  afterAll(async () => {
    await own.close();
    await stores.close();
    await hurried.destroy();
    await opened.close();
  });

  it.each([
    ['a statement', (taskId: string) => own.leases.beginAttempt(taskId)],
    [
      'a transaction',
      (taskId: string) =>
        own.registry
          .transaction((manager) => own.registry.getTask(taskId, { manager, lock: true }), { taskId })
          .then((task) => (task?.taskId === taskId ? 1 : 0)),
    ],
  ])('is waited for by %s over several tries', async (_, use) => {
    const { taskId } = await createTask(stores);
    const runner = opened.dataSource.createQueryRunner();
    await runner.startTransaction();
    await runner.query('select 1 from taskbridge_tasks where task_id = $1 for update', [taskId]);
    const outcome = await triedWhileHeld(() => use(taskId));
    await runner.commitTransaction();
    await runner.release();
    expect(await outcome()).toBe(1);
  });

  it('is waited for by a repeated create over several tries', async () => {
    const runner = opened.dataSource.createQueryRunner();
    await runner.startTransaction();
    const task = newTask();
    await stores.registry.createTask(task, { manager: runner.manager });
    const outcome = await triedWhileHeld(() => own.registry.createTask({ ...task, taskId: newTask().taskId }));
    await runner.commitTransaction();
    await runner.release();
    expect(await outcome()).toMatchObject({ created: false, task: { taskId: task.taskId } });
  });

  /** Returns, once three tries have waited, what will become of it. */
  async function triedWhileHeld<T>(use: () => Promise<T>): Promise<() => Promise<T>> {
    const tries = new Set<string>();
    let isOver = false;
    const outcome = use().finally(() => (isOver = true));
    outcome.catch(() => undefined);
    await eventually(async () => {
      for (const { since } of await opened.dataSource.query<{ since: string }[]>(WAITS)) tries.add(since);
      return isOver || tries.size >= 3;
    });
    expect(isOver).toBe(false);
    return () => outcome;
  }
});
