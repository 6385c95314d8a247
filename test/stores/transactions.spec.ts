import { jest } from '@jest/globals';
import type { EntityManager } from 'typeorm';
import { NoMetrics } from '../../lib/observability/metrics-sink.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { createTestStores, newTask, startTask, type TestStores } from '../support/stores.js';

describe('stores inside a transaction of the host', () => {
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

  function message(task: { taskId: string }, text: string, manager?: EntityManager): Promise<unknown> {
    return stores.events.append(
      { taskId: task.taskId, type: 'TASK_MESSAGE', payload: { message: text }, attempt: null },
      { manager },
    );
  }

  async function textsOf(taskId: string): Promise<string[]> {
    const events = await stores.events.listAfter(taskId, 1, 100);
    return events.map(({ payloadJson }) => (JSON.parse(payloadJson) as { message: string }).message);
  }

  const hintsFor = (taskId: string): number => stores.wakeUps.hints.filter((hinted) => hinted === taskId).length;
  const nextTurns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

  it('count what is appended once it is committed, and an ending as such', async () => {
    const metrics = new NoMetrics();
    const count = jest.spyOn(metrics, 'count');
    const own = createTestStores(opened.dataSource, {}, metrics);
    const { taskId, attempt } = await startTask(own);
    count.mockClear();
    const fail = (manager: EntityManager) =>
      own.events.append(
        { taskId, type: 'TASK_FAILED', payload: { code: 'X', message: 'y', retryable: false }, attempt },
        { manager },
      );
    const undone = opened.dataSource.transaction(async (manager) => {
      await fail(manager);
      throw new Error('undone');
    });
    await expect(undone).rejects.toThrow('undone');
    await opened.dataSource.transaction(fail);
    await eventually(() => own.wakeUps.hints.includes(taskId));
    expect(count.mock.calls).toEqual([
      ['taskbridge_events_appended_total'],
      ['taskbridge_tasks_finished_total', 1, { type: 'TASK_FAILED' }],
    ]);
    await own.close();
  });

  it('show nothing before the commit and wake followers after it', async () => {
    const task = await startTask(stores);
    await opened.dataSource.transaction(async (manager) => {
      await message(task, 'one', manager);
      await message(task, 'two', manager);
      expect(await textsOf(task.taskId)).toEqual([]);
      await nextTurns();
      expect(hintsFor(task.taskId)).toBe(0);
    });
    expect(await textsOf(task.taskId)).toEqual(['one', 'two']);
    await eventually(() => hintsFor(task.taskId) > 0);
  });

  it('leave nothing and wake nobody after a rollback', async () => {
    const task = await startTask(stores);
    const created = newTask();
    const failed = opened.dataSource.transaction(async (manager) => {
      await message(task, 'lost', manager);
      await stores.registry.createTask(created, { manager });
      await stores.registry.requestCancellation(task.taskId, { reason: 'lost', claimMs: 0 }, { manager });
      throw new Error('the host changed its mind');
    });
    await expect(failed).rejects.toThrow('the host changed its mind');
    await nextTurns();
    expect([await textsOf(task.taskId), hintsFor(task.taskId)]).toEqual([[], 0]);
    expect(await stores.registry.getTask(created.taskId)).toBeUndefined();
    expect(await stores.registry.getTask(task.taskId)).toMatchObject({ lastSeq: 1, cancelRequestedAt: null });
  });

  it('keep what a savepoint kept and forget what it rolled back', async () => {
    const [kept, dropped] = [await startTask(stores), await startTask(stores)];
    const ran: string[] = [];
    await opened.dataSource.transaction(async (manager) => {
      stores.afterCommit.run(manager, () => ran.push('outer'));
      await manager.transaction(async (inner) => {
        await message(kept, 'kept', inner);
        await inner.transaction(async (innermost) => stores.afterCommit.run(innermost, () => ran.push('innermost')));
      });
      const undone = manager.transaction(async (inner) => {
        await message(dropped, 'dropped', inner);
        await inner.transaction(async (innermost) => stores.afterCommit.run(innermost, () => ran.push('never')));
        throw new Error('savepoint');
      });
      await undone.catch(() => undefined);
      await message(kept, 'after', manager);
      await nextTurns();
      expect([ran, hintsFor(kept.taskId)]).toEqual([[], 0]);
    });
    await eventually(() => hintsFor(kept.taskId) > 0);
    await nextTurns();
    expect(ran).toEqual(['outer', 'innermost']);
    expect(hintsFor(dropped.taskId)).toBe(0);
    expect([await textsOf(kept.taskId), await textsOf(dropped.taskId)]).toEqual([['kept', 'after'], []]);
  });

  it('drop work of a savepoint whose outer transaction rolls back', async () => {
    const ran: string[] = [];
    const failed = opened.dataSource.transaction(async (manager) => {
      await manager.transaction(async (inner) => stores.afterCommit.run(inner, () => ran.push('inner')));
      throw new Error('outer');
    });
    await expect(failed).rejects.toThrow('outer');
    await nextTurns();
    expect(ran).toEqual([]);
  });

  it('run work after the commit without failing it', async () => {
    const ran: string[] = [];
    await opened.dataSource.transaction(async (manager) => {
      stores.afterCommit.run(manager, () => Promise.reject(new Error('later')));
      stores.afterCommit.run(manager, () => {
        throw new Error('at once');
      });
      stores.afterCommit.run(manager, () => ran.push('last'));
    });
    await eventually(() => ran.length === 1);
    stores.afterCommit.run(undefined, () => ran.push('no transaction'));
    stores.afterCommit.run(opened.dataSource.manager, () => ran.push('no transaction of its own'));
    expect(ran).toEqual(['last']);
    await eventually(() => ran.length === 3);
  });

  it('refuse without aborting the transaction', async () => {
    const task = await startTask(stores);
    await opened.dataSource.transaction(async (manager) => {
      await expect(
        stores.events.append(
          { taskId: task.taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt: 99 },
          { manager },
        ),
      ).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
      const requests = [{ suspendId: 'q', reasonCode: 'R', allowedActions: ['go'] }];
      await stores.suspensions.openSuspensions({ taskId: task.taskId, attempt: null, requests }, { manager });
      await expect(
        stores.suspensions.openSuspensions({ taskId: task.taskId, attempt: null, requests }, { manager }),
      ).rejects.toMatchObject({ code: 'REQUEST_VALIDATION_ERROR' });
      await message(task, 'goes on', manager);
    });
    const events = await stores.events.listAfter(task.taskId, 0, 10);
    expect(events.map(({ seq, type }) => [seq, type])).toEqual([
      [1, 'TASK_STARTED'],
      [2, 'TASK_SUSPENDED'],
      [3, 'TASK_MESSAGE'],
    ]);
  });

  it('read one instant in a snapshot, and only read', async () => {
    const task = await startTask(stores);
    await stores.registry
      .snapshot(async (manager) => {
        expect((await stores.registry.getTask(task.taskId, { manager }))?.lastSeq).toBe(1);
        await message(task, 'meanwhile');
        expect((await stores.registry.getTask(task.taskId, { manager }))?.lastSeq).toBe(1);
        await expect(message(task, 'refused', manager)).rejects.toMatchObject({ code: '25006' });
      })
      .catch((error: { code: string }) => expect(error.code).toBe('25P02'));
    expect(await textsOf(task.taskId)).toEqual(['meanwhile']);
  });

  it('lock a task only where a transaction can hold it', async () => {
    const task = await startTask(stores);
    await expect(stores.registry.getTask(task.taskId, { lock: true })).rejects.toThrow('pass its manager');
    const locked = await stores.registry.transaction((manager) =>
      stores.registry.getTask(task.taskId, { manager, lock: true }),
    );
    expect(locked?.taskId).toBe(task.taskId);
  });
});
