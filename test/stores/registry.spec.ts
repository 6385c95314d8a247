import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { createTask, createTestStores, newTask, type TestStores } from '../support/stores.js';

describe('the task registry', () => {
  let opened: OpenTestDatabase;
  let stores: TestStores;

  beforeAll(async () => {
    opened = await openTestDatabase();
    stores = createTestStores(opened.dataSource);
  });
  afterAll(async () => {
    await stores.close();
    await opened.close();
  });

  it('keeps every member of a task', async () => {
    const task = newTask({
      appId: 'app',
      input: { text: '\\u0000 stays text 😀', nested: [{ n: 1.5 }] },
      metadata: { m: null },
      deadlineMs: 60_000,
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      submissionClaimMs: 30_000,
    });
    const { task: created } = await stores.registry.createTask(task);
    expect(created).toMatchObject({
      taskId: task.taskId,
      ownerId: 'ann',
      appId: 'app',
      input: task.input,
      metadata: { m: null },
      traceparent: task.traceparent,
      retainedFromSeq: 1,
      retries: 0,
      leaseOwner: null,
      cancellation: { state: 0, attempts: 0, nextTryAt: null, lastError: null },
    });
    expect((created.deadlineAt?.getTime() ?? 0) - created.createdAt.getTime()).toBeCloseTo(60_000, -2);
    expect((created.submission.nextTryAt?.getTime() ?? 0) - created.createdAt.getTime()).toBeCloseTo(30_000, -2);
    expect(await stores.registry.getTask(task.taskId)).toEqual(created);
  });

  it('refuses input that Postgres cannot store before it reaches the database', async () => {
    await expect(stores.registry.createTask(newTask({ input: { a: '\0' } }))).rejects.toMatchObject({
      code: 'REQUEST_VALIDATION_ERROR',
      details: { fields: [{ field: 'input' }] },
    });
  });

  it('waits for a create of the same key that is not committed yet, and takes over when it rolls back', async () => {
    const key = { ownerId: 'bob', clientRequestId: 'contested' };
    let second: Promise<{ created: boolean }> | undefined;
    const first = stores.registry.transaction(async (manager) => {
      await stores.registry.createTask(newTask(key), { manager });
      second = stores.registry.createTask(newTask(key));
      const won = await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 100, 'waiting'))]);
      expect(won).toBe('waiting');
      throw new Error('rolled back');
    });
    await expect(first).rejects.toThrow('rolled back');
    expect((await second)?.created).toBe(true);
  });

  it('reads the key again in the transaction in which it is taken', async () => {
    const key = { ownerId: 'bob', clientRequestId: 'twice' };
    const [first, second] = await stores.registry.transaction(async (manager) => [
      await stores.registry.createTask(newTask(key), { manager }),
      await stores.registry.createTask(newTask({ ...key, requestHash: 'other' }), { manager }),
    ]);
    expect([first.created, second.created, second.requestHash]).toEqual([true, false, 'hash']);
    expect(second.task.taskId).toBe(first.task.taskId);
  });

  it('claims a hand-off when it is due, counts it, and hides it from others', async () => {
    const { taskId } = await createTask(stores, { submissionClaimMs: 0 });
    const later = await createTask(stores, { submissionClaimMs: 600_000 });
    const claim = async (claimMs: number): Promise<string[]> =>
      (await stores.registry.claimHandoffs('submission', 100, claimMs)).map((task) => task.taskId);
    expect(await claim(600_000)).toEqual([taskId]);
    expect(await claim(600_000)).toEqual([]);
    await stores.registry.markHandoffFailed(taskId, 'submission', 'x'.repeat(3_000), 0);
    expect(await claim(0)).toEqual([taskId]);
    expect((await stores.registry.getTask(taskId))?.submission).toMatchObject({
      state: 1,
      attempts: 2,
      lastError: 'x'.repeat(2_000),
    });
    await stores.registry.markHandoffDelivered(taskId, 'submission');
    await stores.registry.markHandoffFailed(taskId, 'submission', 'too late', 0);
    expect(await claim(0)).toEqual([]);
    expect((await stores.registry.getTask(taskId))?.submission).toEqual({
      state: 2,
      attempts: 2,
      nextTryAt: null,
      lastError: null,
    });
    expect((await stores.registry.getTask(later.taskId))?.submission.attempts).toBe(1);
  });

  it('passes over tasks that somebody holds', async () => {
    const { taskId } = await createTask(stores, { submissionClaimMs: 0 });
    await stores.registry.transaction(async (manager) => {
      await stores.registry.getTask(taskId, { manager, lock: true });
      expect(await stores.registry.claimHandoffs('submission', 100, 600_000)).toEqual([]);
    });
    expect(await stores.registry.claimHandoffs('submission', 100, 600_000)).toHaveLength(1);
  });

  it('stores a cancellation with its pending hand-off and does not repeat a delivered one', async () => {
    const { taskId } = await createTask(stores);
    const request = (reason: string) => stores.registry.requestCancellation(taskId, { reason, claimMs: 0 });
    expect(await request('mine')).toBe(true);
    expect(await stores.registry.claimHandoffs('cancellation', 100, 600_000)).toHaveLength(1);
    await stores.registry.markHandoffDelivered(taskId, 'cancellation');
    expect(await request('yours')).toBe(true);
    expect(await stores.registry.claimHandoffs('cancellation', 100, 0)).toEqual([]);
    expect(await stores.registry.getTask(taskId)).toMatchObject({ cancelReason: 'mine', cancellation: { state: 2 } });
    expect(await stores.registry.requestCancellation('unknown', { reason: 'r', claimMs: 0 })).toBe(false);
  });

  it('lists the open tasks past their deadline', async () => {
    const late = await createTask(stores, { deadlineMs: -1 });
    const ended = await createTask(stores, { deadlineMs: -1 });
    await createTask(stores, { deadlineMs: 60_000 });
    await stores.events.append({
      taskId: ended.taskId,
      type: 'TASK_CANCELLED',
      payload: { reason: 'r' },
      attempt: null,
    });
    expect(await stores.registry.listOverdue(10)).toEqual([late.taskId]);
  });

  it('pages through many tasks without a repeat or a gap while new ones come', async () => {
    const ownerId = 'pages';
    const ids: string[] = [];
    for (let n = 0; n < 25; n += 1) ids.unshift((await createTask(stores, { ownerId })).taskId);
    const seen: string[] = [];
    let before: string | undefined;
    for (;;) {
      const page = await stores.registry.list({ ownerId, limit: 10, before });
      if (page.length === 0) break;
      seen.push(...page.map(({ task }) => task.taskId));
      before = seen.at(-1);
      await createTask(stores, { ownerId });
    }
    expect(seen).toEqual(ids);
    await expect(stores.registry.list({ ownerId, limit: 1, before: 'no-uuid' })).rejects.toMatchObject({
      code: 'REQUEST_VALIDATION_ERROR',
    });
  });
});
