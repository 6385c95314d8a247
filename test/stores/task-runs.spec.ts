import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { v7 as uuidv7 } from 'uuid';
import { TaskRunStore } from '../../lib/stores/task-run.store.js';
import { type OpenTestDatabase, openTestDatabase } from '../support/database.js';
import { createTask, createTestStores, type TestStores } from '../support/stores.js';

const BEGIN_MS = Date.UTC(2027, 0, 1);

describe('The view of a run', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;
  let runs: TaskRunStore;

  beforeAll(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
    runs = new TaskRunStore(opened.dataSource);
  });

  afterAll(async () => {
    await stores.close();
    await opened.close();
  });

  const viewOf = async (taskId: string) => {
    const task = await stores.registry.getTask(taskId);
    if (task === undefined) throw new Error('The task is missing');
    return runs.view(task, opened.dataSource.manager);
  };

  /** A log of these attempts, an event a second; `null` is the system. */
  const logOf = async (attempts: readonly (number | null)[], attempt: number, retainedFromSeq = 1): Promise<string> => {
    const { taskId } = await createTask(stores);
    await opened.dataSource.query(
      `insert into taskbridge_events (task_id, seq, type, attempt, created_at, payload)
       select $1, n, 2, a, to_timestamp($3::float8 / 1000) + n * interval '1 second', '{}'
       from unnest($2::int[]) with ordinality as l(a, n) where n >= $4`,
      [taskId, attempts, BEGIN_MS, retainedFromSeq],
    );
    await opened.dataSource.query(
      'update taskbridge_tasks set last_seq = $2, attempt = $3, retained_from_seq = $4 where task_id = $1',
      [taskId, attempts.length, attempt, retainedFromSeq],
    );
    return taskId;
  };

  const many = [
    ...Array<number>(700).fill(1),
    null,
    null,
    ...Array<number>(40).fill(3),
    null,
    ...Array<number>(9).fill(4),
  ];

  it.each<[string, (number | null)[], number, number, number | null]>([
    ['of an empty log', [], 0, 1, null],
    ['of a log without its attempt', [1, 1, null], 2, 1, null],
    ['of a log of the system', [null, null], 1, 1, null],
    ['at the start', [1, 1, 1], 1, 1, 1],
    ['at the end', [1, 1, 2], 2, 1, 3],
    ['after the system', [null, null, 1], 1, 1, 3],
    ['amid the system', [1, null, 2, null, 2], 2, 1, 3],
    ['of the first of many', many, 1, 1, 1],
    ['of the second of many', many, 3, 1, 703],
    ['of the last of many', many, 4, 1, 744],
    ['of a log whose start was deleted', [1, 1, 1, 2, 2], 2, 3, 4],
    ['of an attempt whose start was deleted', [1, 1, 1, 2, 2], 2, 5, 5],
  ])('finds the first event %s', async (_where, attempts, attempt, retainedFromSeq, seq) => {
    const { firstEventAt, lastEventAt } = await viewOf(await logOf(attempts, attempt, retainedFromSeq));
    expect(firstEventAt).toEqual(seq === null ? null : new Date(BEGIN_MS + seq * 1_000));
    expect(lastEventAt).toEqual(attempts.length === 0 ? null : new Date(BEGIN_MS + attempts.length * 1_000));
  });

  it('names the process of the lease, if it is registered', async () => {
    const { taskId } = await createTask(stores);
    const processId = uuidv7();
    expect(await viewOf(taskId)).toMatchObject({ host: null, leaseExpiresAt: null });
    await stores.leases.heartbeat({ processId, host: 'worker-1', pid: 1 }, 60_000, []);
    await stores.leases.grantFirst({ taskId }, processId);
    const { host, leaseExpiresAt, now } = await viewOf(taskId);
    expect(host).toBe('worker-1');
    expect(Number(leaseExpiresAt) - now.getTime()).toBeGreaterThan(50_000);
    await stores.leases.removeProcess(processId);
    expect(await viewOf(taskId)).toMatchObject({ host: null, leaseExpiresAt: null });
  });
});
