import type { AppendCommand } from '../stores/event.store.js';
import type { ContractTestApi } from './contract-test-api.js';
import { codeOf, type ContractStores, createdTask, runningTask, waitingTask } from './contract-stores.js';

type Stores = () => ContractStores;

function progress(taskId: string, attempt: number, appendNo?: number): AppendCommand<'TASK_PROGRESS'> {
  return { taskId, type: 'TASK_PROGRESS', payload: { progress: 1 }, attempt, appendNo };
}

/** The log: order, fencing, repeats, endings and waiting. */
export function describeEventStore(api: ContractTestApi, stores: Stores): void {
  const { describe, it, expect } = api;
  const seqsOf = async (taskId: string): Promise<number[]> =>
    (await stores().events.listAfter(taskId, 0, 500)).map(({ seq }) => seq);

  describe('EventStore.append', () => {
    it('numbers the events of a task from 1 without a gap, in the order of the calls', async () => {
      const { taskId, attempt } = await runningTask(stores());
      const appends = [2, 3, 4, 5].map((no) => stores().events.append(progress(taskId, attempt, no)));
      expect((await Promise.all(appends)).map(({ eventId }) => eventId)).toEqual(['2-0', '3-0', '4-0', '5-0']);
      expect(await seqsOf(taskId)).toEqual([1, 2, 3, 4, 5]);
    });

    it('moves the status with the event', async () => {
      const { taskId, attempt } = await runningTask(stores());
      expect((await stores().registry.getTask(taskId))?.status).toBe('RUNNING');
      await stores().events.append({ taskId, type: 'TASK_COMPLETED', payload: { result: 7 }, attempt });
      const task = await stores().registry.getTask(taskId);
      expect([task?.status, task?.lastSeq, task?.finishedAt !== null]).toEqual(['COMPLETED', 2, true]);
    });

    it('refuses what the state of the task does not allow', async () => {
      const { taskId } = await createdTask(stores());
      const attempt = await stores().beginAttempt(taskId);
      expect(await codeOf(stores().events.append(progress(taskId, attempt)))).toBe('INVALID_TASK_STATE');
      expect(await seqsOf(taskId)).toEqual([]);
    });

    it('refuses everything after the ending', async () => {
      const { taskId, attempt } = await runningTask(stores());
      await stores().events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'test' }, attempt: null });
      expect(await codeOf(stores().events.append(progress(taskId, attempt)))).toBe('TASK_ALREADY_TERMINAL');
      expect(await seqsOf(taskId)).toEqual([1, 2]);
    });

    it('refuses a superseded attempt', async () => {
      const { taskId, attempt } = await runningTask(stores());
      await stores().beginAttempt(taskId);
      expect(await codeOf(stores().events.append(progress(taskId, attempt, 2)))).toBe('ATTEMPT_SUPERSEDED');
    });

    it('applies a repeated append once', async () => {
      const { taskId, attempt } = await runningTask(stores());
      const first = await stores().events.append(progress(taskId, attempt, 2));
      const again = await stores().events.append(progress(taskId, attempt, 2));
      expect([first.deduplicated, again.deduplicated, again.seq]).toEqual([false, true, first.seq]);
      expect(await seqsOf(taskId)).toEqual([1, 2]);
    });

    it('refuses an unknown task and a payload that is not valid', async () => {
      const { taskId, attempt } = await runningTask(stores());
      expect(await codeOf(stores().events.append(progress('not-a-task', 1)))).toBe('TASK_NOT_FOUND');
      const payload = { progress: 101 };
      expect(await codeOf(stores().events.append({ ...progress(taskId, attempt), payload }))).toBe(
        'REQUEST_VALIDATION_ERROR',
      );
    });

    it('lets one of many concurrent endings win', async () => {
      const { taskId } = await runningTask(stores());
      const payload = { reason: 'race' };
      const append = () => codeOf(stores().events.append({ taskId, type: 'TASK_CANCELLED', payload, attempt: null }));
      const codes = await Promise.all(Array.from({ length: 10 }, append));
      expect(codes.filter((code) => code === 'resolved').length).toBe(1);
      expect(codes.filter((code) => code === 'TASK_ALREADY_TERMINAL').length).toBe(9);
      expect(await seqsOf(taskId)).toEqual([1, 2]);
    });

    it('closes open suspensions with the ending', async () => {
      const { taskId } = await waitingTask(stores());
      await stores().events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'test' }, attempt: null });
      expect(await stores().suspensions.listOpen(taskId)).toEqual([]);
    });

    it('leaves nothing behind when the transaction it is enlisted in rolls back', async () => {
      const { taskId, attempt } = await runningTask(stores());
      const rolledBack = stores().registry.transaction(async (manager) => {
        await stores().events.append(progress(taskId, attempt, 2), { manager });
        throw Object.assign(new Error('rolled back'), { code: 'TEST' });
      });
      expect(await codeOf(rolledBack)).toBe('TEST');
      expect(await seqsOf(taskId)).toEqual([1]);
    });
  });

  describe('EventStore.listAfter and waitAfter', () => {
    it('pages through the log in order', async () => {
      const { taskId, attempt } = await runningTask(stores());
      await Promise.all([2, 3, 4].map((no) => stores().events.append(progress(taskId, attempt, no))));
      const page = await stores().events.listAfter(taskId, 1, 2);
      expect(page.map(({ seq, type }) => [seq, type])).toEqual([
        [2, 'TASK_PROGRESS'],
        [3, 'TASK_PROGRESS'],
      ]);
      expect(JSON.parse(page[0]?.payloadJson ?? '')).toEqual({ progress: 1 });
    });

    it('waits for the first event after the cursor', async () => {
      const { taskId, attempt } = await runningTask(stores());
      const waiting = stores().events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 20_000 });
      await stores().events.append(progress(taskId, attempt, 2));
      expect((await waiting).map(({ seq }) => seq)).toEqual([2]);
    });

    it('returns nothing when the time is over or the signal is aborted', async () => {
      const { taskId } = await runningTask(stores());
      expect(await stores().events.waitAfter(taskId, 1, { limit: 10, timeoutMs: 20 })).toEqual([]);
      const controller = new AbortController();
      const waiting = stores().events.waitAfter(taskId, 1, {
        limit: 10,
        timeoutMs: 60_000,
        signal: controller.signal,
      });
      controller.abort();
      expect(await waiting).toEqual([]);
    });

    it('does not wait for a task that has ended', async () => {
      const { taskId } = await runningTask(stores());
      await stores().events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'test' }, attempt: null });
      expect(await stores().events.waitAfter(taskId, 2, { limit: 10, timeoutMs: 60_000 })).toEqual([]);
    });

    it('tells where several logs end', async () => {
      const first = await runningTask(stores());
      const second = await createdTask(stores());
      const seqs = await stores().events.lastSeqs([first.taskId, second.taskId, 'not-a-task']);
      expect([seqs.size, seqs.get(first.taskId), seqs.get(second.taskId)]).toEqual([2, 1, 0]);
    });
  });
}
