import { HandoffState } from '../stores/records.js';
import type { ContractTestApi } from './contract-test-api.js';
import { codeOf, type ContractStores, contractTask, createdTask, waitingTask } from './contract-stores.js';

/** The task rows: creation by key, cancellation, hand-offs and lists. */
export function describeTaskRegistry(api: ContractTestApi, stores: () => ContractStores): void {
  const { describe, it, expect } = api;

  describe('TaskRegistry.createTask', () => {
    it('creates one task of many concurrent calls with one key', async () => {
      const ownerId = contractTask().ownerId;
      const creates = Array.from({ length: 10 }, () =>
        stores().registry.createTask(contractTask({ ownerId, clientRequestId: 'one' })),
      );
      const creations = await Promise.all(creates);
      expect(creations.filter(({ created }) => created).length).toBe(1);
      expect(new Set(creations.map(({ task }) => task.taskId)).size).toBe(1);
    });

    it('keeps the keys of two owners apart', async () => {
      const first = await createdTask(stores(), { clientRequestId: 'same' });
      const second = await createdTask(stores(), { clientRequestId: 'same' });
      expect(first.taskId === second.taskId).toBe(false);
    });

    it('starts a task accepted, with a pending submission and an empty log', async () => {
      const input = { a: [1, { b: 'ü' }] };
      const task = await createdTask(stores(), { input, metadata: { m: 1 }, deadlineMs: 60_000 });
      expect([task.status, task.lastSeq, task.attempt, task.submission.state]).toEqual([
        'ACCEPTED',
        0,
        0,
        HandoffState.pending,
      ]);
      const stored = await stores().registry.getTask(task.taskId);
      expect([stored?.input, stored?.metadata, stored?.deadlineAt !== null]).toEqual([input, { m: 1 }, true]);
    });

    it('does not abort the transaction in which a key is taken', async () => {
      const task = await createdTask(stores(), { clientRequestId: 'taken' });
      const ids = await stores().registry.transaction(async (manager) => {
        const repeat = contractTask({ ownerId: task.ownerId, clientRequestId: 'taken' });
        const { task: found } = await stores().registry.createTask(repeat, { manager });
        const { task: other } = await stores().registry.createTask(contractTask(), { manager });
        return [found.taskId, other.taskId];
      });
      expect(ids[0]).toBe(task.taskId);
      expect((await stores().registry.getTask(ids[1] ?? ''))?.status).toBe('ACCEPTED');
    });

    it('leaves nothing behind when the transaction rolls back', async () => {
      const task = contractTask();
      const rolledBack = stores().registry.transaction(async (manager) => {
        await stores().registry.createTask(task, { manager });
        throw Object.assign(new Error('rolled back'), { code: 'TEST' });
      });
      expect(await codeOf(rolledBack)).toBe('TEST');
      expect(await stores().registry.getTask(task.taskId)).toBe(undefined);
    });
  });

  describe('TaskRegistry', () => {
    it('finds a task by its key and nothing by an unknown id', async () => {
      const task = await createdTask(stores(), { requestHash: 'abc' });
      const found = await stores().registry.findByClientRequestId(task.ownerId, task.clientRequestId);
      expect([found?.task.taskId, found?.requestHash, found?.created]).toEqual([task.taskId, 'abc', false]);
      expect(await stores().registry.getTask('not-a-task')).toBe(undefined);
      expect(await stores().registry.findByClientRequestId(task.ownerId, 'other')).toBe(undefined);
    });

    it('keeps the first reason of a cancellation and refuses it for an ended task', async () => {
      const { taskId } = await createdTask(stores());
      const request = (reason: string) => stores().registry.requestCancellation(taskId, { reason, claimMs: 60_000 });
      expect([await request('first'), await request('second')]).toEqual([true, true]);
      const task = await stores().registry.getTask(taskId);
      expect([task?.cancelReason, task?.cancellation.state]).toEqual(['first', HandoffState.pending]);
      await stores().events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'first' }, attempt: null });
      expect(await request('third')).toBe(false);
    });

    it('pages through the tasks of an owner, newest first', async () => {
      const { ownerId } = contractTask();
      const ids: string[] = [];
      for (let n = 0; n < 5; n += 1) ids.unshift((await createdTask(stores(), { ownerId })).taskId);
      const first = await stores().registry.list({ ownerId, limit: 3 });
      expect(first.map(({ task }) => task.taskId)).toEqual(ids.slice(0, 3));
      const second = await stores().registry.list({ ownerId, limit: 3, before: ids[2] });
      expect(second.map(({ task }) => task.taskId)).toEqual(ids.slice(3));
    });

    it('filters a list by status, type and open suspensions', async () => {
      const { taskId } = await waitingTask(stores());
      const ownerId = (await stores().registry.getTask(taskId))?.ownerId ?? '';
      const idle = await createdTask(stores(), { ownerId, taskType: 'other' });
      const idsOf = async (filter: object): Promise<string[]> =>
        (await stores().registry.list({ ownerId, limit: 10, ...filter })).map(({ task }) => task.taskId);
      expect(await idsOf({ waiting: true })).toEqual([taskId]);
      expect(await idsOf({ waiting: false })).toEqual([idle.taskId]);
      expect(await idsOf({ status: 'RUNNING' })).toEqual([taskId]);
      expect(await idsOf({ taskType: 'other' })).toEqual([idle.taskId]);
    });
  });
}
