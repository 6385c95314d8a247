import { HandoffState, SuspensionStatus } from '../stores/records.js';
import type { ContractTestApi } from './contract-test-api.js';
import { codeOf, contractAnswer, type ContractStores, runningTask, waitingTask } from './contract-stores.js';

function refuseAll(): void {
  throw Object.assign(new Error('refused'), { code: 'TEST' });
}

/** Questions, answers and receipts. */
export function describeSuspensionStore(api: ContractTestApi, stores: () => ContractStores): void {
  const { describe, it, expect } = api;
  const typesOf = async (taskId: string): Promise<string[]> =>
    (await stores().events.listAfter(taskId, 0, 500)).map(({ type }) => type);

  describe('SuspensionStore', () => {
    it('opens several questions with an event each', async () => {
      const { taskId } = await waitingTask(stores(), ['q1', 'q2']);
      expect(await typesOf(taskId)).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_SUSPENDED']);
      const open = await stores().suspensions.listOpen(taskId);
      expect(open.map(({ suspendId, eventSeq }) => [suspendId, eventSeq])).toEqual([
        ['q1', 2],
        ['q2', 3],
      ]);
    });

    it('accepts one of many concurrent answers', async () => {
      const { taskId } = await waitingTask(stores());
      const answers = Array.from({ length: 10 }, (_, n) =>
        stores().suspensions.acceptActionIfOpen(contractAnswer(taskId, { clientActionId: `a${n}` })),
      );
      const outcomes = (await Promise.all(answers)).map(({ outcome }) => outcome);
      expect(outcomes.filter((outcome) => outcome === 'ACCEPTED').length).toBe(1);
      expect(outcomes.filter((outcome) => outcome === 'REJECTED_ALREADY_RESOLVED').length).toBe(9);
      expect(await typesOf(taskId)).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED']);
    });

    it('writes resolution, receipt and pending resume with the event', async () => {
      const { taskId } = await waitingTask(stores());
      const { receipt } = await stores().suspensions.acceptActionIfOpen(
        contractAnswer(taskId, { payload: { note: 'ok' }, metadata: { via: 'web' } }),
      );
      const stored = await stores().receipts.getReceipt(taskId, 'answer-1');
      expect(stored).toEqual(receipt);
      expect([stored?.payload, stored?.eventSeq, stored?.acceptedBy, stored?.resume.state]).toEqual([
        { note: 'ok' },
        3,
        'ann',
        HandoffState.pending,
      ]);
      const suspension = await stores().suspensions.getSuspension(taskId, 'q1');
      expect([suspension?.status, suspension?.resolvedBy]).toEqual([SuspensionStatus.resolved, 'answer-1']);
    });

    it('answers a repeated action as before and refuses one with another content', async () => {
      const { taskId } = await waitingTask(stores());
      await stores().suspensions.acceptActionIfOpen(contractAnswer(taskId));
      const again = await stores().suspensions.acceptActionIfOpen(contractAnswer(taskId));
      expect([again.outcome, again.receipt?.eventSeq]).toEqual(['DEDUPLICATED', 3]);
      const other = contractAnswer(taskId, { requestHash: 'reject', actionType: 'reject' });
      expect(await codeOf(stores().suspensions.acceptActionIfOpen(other))).toBe('IDEMPOTENCY_CONFLICT');
    });

    it('checks existence, then state, then the allowed actions, then the answer', async () => {
      const { taskId } = await waitingTask(stores());
      const bad = { actionType: 'explode', validate: refuseAll };
      const submit = (members: object): Promise<unknown> =>
        codeOf(stores().suspensions.acceptActionIfOpen(contractAnswer(taskId, members)));
      expect(await submit({ ...bad, suspendId: 'unknown' })).toBe('SUSPENSION_NOT_FOUND');
      expect(await submit(bad)).toBe('ACTION_NOT_ALLOWED');
      expect(await submit({ validate: refuseAll })).toBe('TEST');
      await stores().suspensions.acceptActionIfOpen(contractAnswer(taskId));
      const late = contractAnswer(taskId, { ...bad, clientActionId: 'late' });
      const { outcome, receipt } = await stores().suspensions.acceptActionIfOpen(late);
      expect([outcome, receipt?.clientActionId]).toEqual(['REJECTED_ALREADY_RESOLVED', 'answer-1']);
    });

    it('rejects an answer past due before any sweep has run, and expires the question once', async () => {
      const { taskId, attempt } = await runningTask(stores());
      const question = { suspendId: 'q1', reasonCode: 'CHECK', allowedActions: ['approve'] };
      const requests = [{ ...question, expiresAt: new Date(Date.now() - 60_000) }];
      await stores().suspensions.openSuspensions({ taskId, attempt, requests });
      const { outcome } = await stores().suspensions.acceptActionIfOpen(contractAnswer(taskId));
      expect(outcome).toBe('REJECTED_EXPIRED');
      await Promise.all([1, 2, 3].map(() => stores().suspensions.expireOpenSuspensions(500)));
      expect(await typesOf(taskId)).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_FAILED']);
    });

    it('hands resumes out in the order of acceptance, one per task', async () => {
      const { taskId } = await waitingTask(stores(), ['q1', 'q2']);
      const accept = (suspendId: string): Promise<unknown> =>
        stores().suspensions.acceptActionIfOpen(
          contractAnswer(taskId, { suspendId, clientActionId: `for-${suspendId}`, claimMs: 0 }),
        );
      await accept('q2');
      await accept('q1');
      const mine = async (): Promise<string[]> =>
        (await stores().suspensions.listPendingResumeHandoffs(500, 60_000))
          .filter(({ receipt }) => receipt.taskId === taskId)
          .map(({ receipt }) => receipt.clientActionId);
      expect(await mine()).toEqual(['for-q2']);
      expect(await mine()).toEqual([]);
      await stores().suspensions.markResumeDispatched(taskId, 'for-q2');
      expect(await mine()).toEqual(['for-q1']);
    });

    it('keeps an answer until the run that took it has ended', async () => {
      const { taskId } = await waitingTask(stores());
      await stores().suspensions.acceptActionIfOpen(contractAnswer(taskId));
      await stores().suspensions.markResumeDispatched(taskId, 'answer-1');
      const next = (): Promise<string | undefined> =>
        stores().registry.transaction(async (manager) => {
          const resume = await stores().suspensions.nextUnconsumedResume(taskId, manager);
          return resume?.receipt.clientActionId;
        });
      expect(await next()).toBe('answer-1');
      await stores().registry.transaction((manager) =>
        stores().suspensions.markResumeConsumed(taskId, 'answer-1', manager),
      );
      expect(await next()).toBe(undefined);
    });

    it('lists the receipts of a task in the order of acceptance', async () => {
      const { taskId } = await waitingTask(stores(), ['q1', 'q2']);
      for (const suspendId of ['q2', 'q1']) {
        const answer = contractAnswer(taskId, { suspendId, clientActionId: `for-${suspendId}` });
        await stores().suspensions.acceptActionIfOpen(answer);
      }
      const receipts = await stores().receipts.listReceipts(taskId);
      expect(receipts.map(({ clientActionId }) => clientActionId)).toEqual(['for-q2', 'for-q1']);
      const [first] = receipts;
      if (first !== undefined) expect(await stores().receipts.saveReceipt(first)).toBe(false);
    });
  });
}
