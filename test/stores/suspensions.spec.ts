import { LIMITS } from '../../lib/services/command-checks.js';
import type { SuspensionRequest } from '../../lib/stores/records.js';
import { answerTo } from '../support/answers.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { holdRow } from '../support/held-row.js';
import { createTask, createTestStores, startTask, type TestStores } from '../support/stores.js';

const QUESTION = { suspendId: 'q', reasonCode: 'CHECK', allowedActions: ['go', 'stop'] };

describe('suspensions', () => {
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

  async function suspended(
    ...requests: SuspensionRequest[]
  ): Promise<{ taskId: string; attempt: number; payloads: unknown[] }> {
    const task = await startTask(stores);
    await stores.suspensions.openSuspensions({ ...task, requests });
    const events = await stores.events.listAfter(task.taskId, 1, 10);
    return { ...task, payloads: events.map(({ payloadJson }) => JSON.parse(payloadJson) as unknown) };
  }

  async function problemsOf(...requests: SuspensionRequest[]): Promise<unknown> {
    const task = await startTask(stores);
    const error: unknown = await stores.suspensions
      .openSuspensions({ ...task, requests })
      .catch((refusal: unknown) => refusal);
    expect(error).toMatchObject({ code: 'REQUEST_VALIDATION_ERROR' });
    expect((await stores.registry.getTask(task.taskId))?.lastSeq).toBe(1);
    return (error as { details: { fields: { field: string }[] } }).details.fields.map(({ field }) => field);
  }

  const typesOf = async (taskId: string): Promise<string[]> =>
    (await stores.events.listAfter(taskId, 0, 100)).map(({ type }) => type);

  describe('that are opened', () => {
    it('tell clients the question, its schemas and its end, and nothing else', async () => {
      const expiresAt = new Date('2100-01-01T00:00:00.000Z');
      const { taskId, payloads } = await suspended({
        ...QUESTION,
        kind: 'EXTERNAL_CONFIRMATION_PENDING',
        schemaVersion: 3,
        expiresAt,
        onExpiry: { resume: 'stop', payload: { why: 'late' } },
        uiHints: { colour: 'red' },
        interaction: { title: 'Sure?' },
        actionSchemas: { stop: { type: 'object', required: ['why'] } },
        state: { secret: 1 },
      });
      expect(payloads).toEqual([
        {
          suspendId: 'q',
          kind: 'EXTERNAL_CONFIRMATION_PENDING',
          reasonCode: 'CHECK',
          allowedActions: ['go', 'stop'],
          schemaVersion: 3,
          expiresAt: '2100-01-01T00:00:00.000Z',
          uiHints: { colour: 'red' },
          interaction: { title: 'Sure?', actionSchemas: { stop: { type: 'object', required: ['why'] } } },
        },
      ]);
      expect(await stores.suspensions.getSuspension(taskId, 'q')).toMatchObject({
        eventSeq: 2,
        expiresAt,
        state: { secret: 1 },
        interaction: { title: 'Sure?' },
        actionSchemas: { stop: { type: 'object', required: ['why'] } },
        onExpiry: { resume: 'stop', payload: { why: 'late' } },
      });
    });

    it('fill in their defaults', async () => {
      const { taskId, payloads } = await suspended({ reasonCode: 'CHECK', allowedActions: ['go'] });
      const [open] = await stores.suspensions.listOpen(taskId);
      expect(payloads).toEqual([
        {
          suspendId: open?.suspendId,
          kind: 'USER_ACTION_REQUIRED',
          reasonCode: 'CHECK',
          allowedActions: ['go'],
          schemaVersion: 1,
        },
      ]);
      expect(open).toMatchObject({ expiresAt: null, onExpiry: 'fail', state: null, uiHints: null });
    });

    it('count a relative expiry on the clock of the database', async () => {
      const { taskId, payloads } = await suspended({ ...QUESTION, expiresInMs: 3_600_000 });
      const [row] = await opened.dataSource.query<{ ms: number }[]>(
        `select (extract(epoch from expires_at - created_at) * 1000)::int as ms from taskbridge_suspensions where task_id = $1`,
        [taskId],
      );
      const stored = await stores.suspensions.getSuspension(taskId, 'q');
      expect(row?.ms).toBe(3_600_000);
      expect(payloads).toMatchObject([{ expiresAt: stored?.expiresAt?.toISOString() }]);
    });

    it('are refused with every field that is wrong', async () => {
      expect(await problemsOf()).toEqual(['requests']);
      expect(await problemsOf({ reasonCode: '', allowedActions: [] })).toEqual(['reasonCode', 'allowedActions']);
      expect(await problemsOf({ ...QUESTION, allowedActions: ['go', 'go'] })).toEqual(['allowedActions']);
      expect(await problemsOf({ ...QUESTION, kind: 'OTHER' as never, schemaVersion: 0 })).toEqual([
        'kind',
        'schemaVersion',
      ]);
      expect(await problemsOf({ ...QUESTION, expiresInMs: -1 })).toEqual(['expiresInMs']);
      expect(await problemsOf({ ...QUESTION, expiresAt: new Date(Number.NaN) })).toEqual(['expiresAt']);
      expect(await problemsOf({ ...QUESTION, expiresInMs: 1, expiresAt: new Date() })).toEqual(['expiresInMs']);
      expect(await problemsOf({ ...QUESTION, onExpiry: { resume: 'other' } })).toEqual(['onExpiry.resume']);
      expect(await problemsOf({ ...QUESTION, actionSchemas: { other: {} } })).toEqual(['actionSchemas.other']);
      expect(await problemsOf({ ...QUESTION, actionSchemas: { go: { type: 'no-type' } } })).toEqual([
        'actionSchemas.go',
      ]);
      expect(
        await problemsOf({
          ...QUESTION,
          actionSchemas: { go: { type: 'object', required: ['why'] } },
          onExpiry: { resume: 'go' },
        }),
      ).toEqual(['onExpiry.payload.why']);
      expect(await problemsOf(QUESTION, { ...QUESTION, uiHints: [] as never })).toEqual([
        'requests[1].uiHints',
        'requests[1].suspendId',
      ]);
      expect(await problemsOf({ ...QUESTION, state: 'a\0b' })).toEqual(['state']);
    });

    it('are refused with a schema that would be checked later, and so accept everything', async () => {
      const later = { $async: true, type: 'object', required: ['why'] };
      expect(await problemsOf({ ...QUESTION, actionSchemas: { go: later } })).toEqual(['actionSchemas.go']);
      expect(await problemsOf({ ...QUESTION, actionSchemas: { go: { allOf: [later] } } })).toEqual([
        'actionSchemas.go',
      ]);
    });

    it('allow actions of exactly the types that an answer may have', async () => {
      const longest = 'x'.repeat(LIMITS.actionType);
      const { taskId } = await suspended({ ...QUESTION, allowedActions: [longest] });
      const answer = answerTo(taskId, { actionType: longest });
      expect(await stores.suspensions.acceptActionIfOpen(answer)).toMatchObject({ outcome: 'ACCEPTED' });
      for (const action of [`${longest}x`, '', 'half \ud800', 'a\0b']) {
        expect(await problemsOf({ ...QUESTION, allowedActions: ['go', action] })).toEqual(['allowedActions']);
      }
    });

    it('look only at schemas of their own when an expiry answers', async () => {
      const { taskId } = await suspended({
        ...QUESTION,
        allowedActions: ['toString'],
        actionSchemas: {},
        onExpiry: { resume: 'toString' },
      });
      expect(await stores.suspensions.getSuspension(taskId, 'q')).toMatchObject({ onExpiry: { resume: 'toString' } });
    });

    it('keep up to one MiB of state, and of a payload for their expiry', async () => {
      const fits = 'ü'.repeat(524_287);
      const { taskId } = await suspended({ ...QUESTION, state: fits });
      expect((await stores.suspensions.getSuspension(taskId, 'q'))?.state).toBe(fits);
      const task = await startTask(stores);
      const tooMuch: Partial<SuspensionRequest>[] = [
        { state: `${fits}x` },
        { onExpiry: { resume: 'go', payload: { text: fits } } },
      ];
      for (const members of tooMuch) {
        const requests = [{ ...QUESTION, ...members }];
        await expect(stores.suspensions.openSuspensions({ ...task, requests })).rejects.toMatchObject({
          code: 'PAYLOAD_TOO_LARGE',
          details: { field: Object.keys(members)[0], maxBytes: 1_048_576 },
        });
      }
      expect(await stores.suspensions.listOpen(task.taskId)).toEqual([]);
    });

    it('are refused for a task that does not run, that has ended, or by a superseded attempt', async () => {
      const requests = [QUESTION];
      const { taskId } = await createTask(stores);
      const open = (attempt: number | null) => stores.suspensions.openSuspensions({ taskId, attempt, requests });
      await expect(open(0)).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
      const attempt = await stores.leases.beginAttempt(taskId);
      await expect(open(0)).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
      await stores.events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null });
      await expect(open(attempt)).rejects.toMatchObject({ code: 'TASK_ALREADY_TERMINAL' });
      await expect(
        stores.suspensions.openSuspensions({ taskId: 'unknown', attempt: 1, requests }),
      ).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
      expect(await stores.suspensions.listOpen(taskId)).toEqual([]);
    });

    it('are the same when they are opened again under the same numbers', async () => {
      const task = await startTask(stores);
      const command = { ...task, requests: [{ ...QUESTION, suspendId: undefined }, QUESTION] as SuspensionRequest[] };
      const first = await stores.suspensions.openSuspensions({ ...command, appendNo: 2 });
      expect(await stores.suspensions.openSuspensions({ ...command, appendNo: 2 })).toEqual(first);
      expect(await typesOf(task.taskId)).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_SUSPENDED']);
      await expect(
        stores.suspensions.openSuspensions({ ...command, appendId: '0199d1b0-0000-7000-8000-00000000000f' }),
      ).rejects.toMatchObject({ code: 'REQUEST_VALIDATION_ERROR' });
    });

    it('cannot use an id of the task twice, and leave nothing when they try', async () => {
      const { taskId, attempt } = await suspended(QUESTION);
      const again = { taskId, attempt, requests: [{ ...QUESTION, suspendId: 'fresh' }, QUESTION] };
      await expect(stores.suspensions.openSuspensions(again)).rejects.toMatchObject({
        code: 'REQUEST_VALIDATION_ERROR',
      });
      expect(await typesOf(taskId)).toEqual(['TASK_STARTED', 'TASK_SUSPENDED']);
    });
  });

  describe('that are answered', () => {
    it('say so in the log with the time of the receipt', async () => {
      const { taskId } = await suspended(QUESTION);
      const { receipt } = await stores.suspensions.acceptActionIfOpen(answerTo(taskId, { claimMs: 5_000 }));
      const [event] = await stores.events.listAfter(taskId, 2, 1);
      expect(JSON.parse(event?.payloadJson ?? '')).toEqual({
        suspendId: 'q',
        clientActionId: 'answer',
        actionType: 'go',
        acceptedAt: receipt?.acceptedAt.toISOString(),
      });
      expect((receipt?.resume.nextTryAt?.getTime() ?? 0) - (receipt?.acceptedAt.getTime() ?? 0)).toBe(5_000);
    });

    it('answer each question on its own', async () => {
      const { taskId } = await suspended(QUESTION, { ...QUESTION, suspendId: 'r' });
      await stores.suspensions.acceptActionIfOpen(answerTo(taskId, { suspendId: 'r' }));
      expect((await stores.suspensions.listOpen(taskId)).map(({ suspendId }) => suspendId)).toEqual(['q']);
      const wrong = answerTo(taskId, { suspendId: 'q', requestHash: 'other' });
      await expect(stores.suspensions.acceptActionIfOpen(wrong)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_CONFLICT',
      });
    });

    it('reject what comes after the task has ended', async () => {
      const { taskId } = await suspended(QUESTION);
      await stores.events.append({ taskId, type: 'TASK_CANCELLED', payload: { reason: 'r' }, attempt: null });
      expect(await stores.suspensions.acceptActionIfOpen(answerTo(taskId))).toEqual({
        outcome: 'REJECTED_ALREADY_RESOLVED',
        receipt: null,
      });
    });

    it('refuse an unknown task and the ids of expiries', async () => {
      const { taskId } = await suspended(QUESTION);
      await expect(stores.suspensions.acceptActionIfOpen(answerTo('unknown'))).rejects.toMatchObject({
        code: 'TASK_NOT_FOUND',
      });
      const reserved = answerTo(taskId, { clientActionId: 'expiry:q' });
      await expect(stores.suspensions.acceptActionIfOpen(reserved)).rejects.toMatchObject({
        code: 'REQUEST_VALIDATION_ERROR',
      });
    });

    it('leave everything as it was when the answer is refused inside the transaction', async () => {
      const { taskId } = await suspended(QUESTION);
      const refused = answerTo(taskId, {
        validate: (suspension) => {
          throw Object.assign(new Error(suspension.suspendId), { code: 'REFUSED' });
        },
      });
      await expect(stores.suspensions.acceptActionIfOpen(refused)).rejects.toMatchObject({ code: 'REFUSED' });
      expect(await stores.suspensions.getSuspension(taskId, 'q')).toMatchObject({ status: 0, resolvedAt: null });
      expect(await stores.receipts.listReceipts(taskId)).toEqual([]);
    });
  });

  describe('that expire', () => {
    const past = { expiresAt: new Date(Date.now() - 1_000) };

    it('fail or cancel their task, or answer in its stead', async () => {
      const fail = await suspended({ ...QUESTION, ...past });
      const cancel = await suspended({ ...QUESTION, ...past, onExpiry: 'cancel' });
      const resume = await suspended({
        ...QUESTION,
        ...past,
        onExpiry: { resume: 'stop', payload: { why: 'late' } },
      });
      expect(await stores.suspensions.expireOpenSuspensions(100)).toBe(3);
      expect(await stores.suspensions.expireOpenSuspensions(100)).toBe(0);
      const lastOf = async ({ taskId }: { taskId: string }): Promise<unknown> => {
        const event = (await stores.events.listAfter(taskId, 2, 10)).at(-1);
        return [event?.type, JSON.parse(event?.payloadJson ?? '')];
      };
      expect(await lastOf(fail)).toEqual([
        'TASK_FAILED',
        { code: 'SUSPENSION_EXPIRED', message: 'Nobody answered the question "CHECK" in time', retryable: false },
      ]);
      expect(await lastOf(cancel)).toEqual(['TASK_CANCELLED', { reason: 'suspension_expired' }]);
      const receipt = await stores.receipts.getReceipt(resume.taskId, 'expiry:q');
      expect(await lastOf(resume)).toEqual([
        'TASK_ACTION_ACCEPTED',
        {
          suspendId: 'q',
          clientActionId: 'expiry:q',
          actionType: 'stop',
          acceptedAt: receipt?.acceptedAt.toISOString(),
        },
      ]);
      expect(receipt).toMatchObject({ payload: { why: 'late' }, acceptedBy: null, resume: { state: 1 } });
      await eventually(() => stores.wakeUps.work.some(([kind, id]) => kind === 'handoff' && id === resume.taskId));
      for (const { taskId } of [fail, cancel, resume]) {
        expect(await stores.suspensions.getSuspension(taskId, 'q')).toMatchObject({ status: 2 });
        const late = answerTo(taskId, { clientActionId: 'late' });
        expect(await stores.suspensions.acceptActionIfOpen(late)).toMatchObject({ outcome: 'REJECTED_EXPIRED' });
      }
    });

    it('wait for whoever holds their task, and do not keep the others', async () => {
      const held = await suspended({ ...QUESTION, ...past });
      const free = await suspended({ ...QUESTION, ...past });
      await stores.registry.transaction(async (manager) => {
        await stores.registry.getTask(held.taskId, { manager, lock: true });
        expect(await stores.suspensions.expireOpenSuspensions(100)).toBe(1);
      });
      expect((await stores.registry.getTask(free.taskId))?.status).toBe('FAILED');
      expect((await stores.registry.getTask(held.taskId))?.status).toBe('RUNNING');
      expect(await stores.suspensions.expireOpenSuspensions(100)).toBe(1);
    });

    it('are settled although somebody holds as many others as fit a batch', async () => {
      const held = await Promise.all([1, 2, 3].map(() => suspended({ ...QUESTION, ...past })));
      const { taskId } = await suspended({ ...QUESTION, expiresAt: new Date(Date.now() - 500) });
      const holds = await Promise.all(held.map((task) => holdRow(opened.database.url, task.taskId)));
      try {
        expect(await stores.suspensions.expireOpenSuspensions(3)).toBe(1);
        expect((await stores.registry.getTask(taskId))?.status).toBe('FAILED');
      } finally {
        await Promise.all(holds.map((hold) => hold.release()));
      }
      expect(await stores.suspensions.expireOpenSuspensions(100)).toBe(3);
    });

    it('stay as long as their time is not over', async () => {
      await suspended({ ...QUESTION, expiresInMs: 60_000 });
      expect(await stores.suspensions.expireOpenSuspensions(100)).toBe(0);
    });
  });

  describe('whose answers are handed on', () => {
    it('are due again after a failure, with its reason', async () => {
      const { taskId } = await suspended(QUESTION);
      await stores.suspensions.acceptActionIfOpen(answerTo(taskId));
      const mine = async (claimMs: number) =>
        (await stores.suspensions.listPendingResumeHandoffs(500, claimMs)).find(
          ({ receipt }) => receipt.taskId === taskId,
        );
      expect(await mine(60_000)).toMatchObject({ receipt: { resume: { attempts: 1 } }, suspension: { state: null } });
      await stores.suspensions.markResumeFailed(taskId, 'answer', 'x'.repeat(5_000), 0);
      const again = await mine(60_000);
      expect(again?.receipt.resume).toMatchObject({ attempts: 2, lastError: 'x'.repeat(2_000) });
      await stores.suspensions.markResumeDispatched(taskId, 'answer');
      await stores.suspensions.markResumeFailed(taskId, 'answer', 'too late', 0);
      expect(await mine(0)).toBeUndefined();
      expect(await stores.receipts.getReceipt(taskId, 'answer')).toMatchObject({
        resume: { state: 2, nextTryAt: null, lastError: null },
      });
    });
  });
});
