import { TASK_EVENT_TYPES, type TaskEventPayloads, type TaskEventType, type TaskStatus } from '@taskbridge/protocol';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { createTask, createTestStores, type TestStores } from '../support/stores.js';

const PAYLOADS: TaskEventPayloads = {
  TASK_STARTED: {},
  TASK_PROGRESS: { progress: 5 },
  TASK_MESSAGE: { message: 'hello' },
  TASK_SUSPENDED: {
    suspendId: 's',
    kind: 'USER_ACTION_REQUIRED',
    reasonCode: 'R',
    allowedActions: ['go'],
    schemaVersion: 1,
  },
  TASK_ACTION_ACCEPTED: {
    suspendId: 's',
    clientActionId: 'c',
    actionType: 'go',
    acceptedAt: '2026-01-01T00:00:00.000Z',
  },
  TASK_COMPLETED: { result: 1 },
  TASK_FAILED: { code: 'X', message: 'x', retryable: false },
  TASK_CANCELLED: { reason: 'r' },
};

const ENDINGS = { COMPLETED: 'TASK_COMPLETED', FAILED: 'TASK_FAILED', CANCELLED: 'TASK_CANCELLED' } as const;
const OPEN_OUTCOMES: Record<TaskEventType, Record<'ACCEPTED' | 'RUNNING', TaskStatus | 'INVALID_TASK_STATE'>> = {
  TASK_STARTED: { ACCEPTED: 'RUNNING', RUNNING: 'INVALID_TASK_STATE' },
  TASK_PROGRESS: { ACCEPTED: 'INVALID_TASK_STATE', RUNNING: 'RUNNING' },
  TASK_MESSAGE: { ACCEPTED: 'ACCEPTED', RUNNING: 'RUNNING' },
  TASK_SUSPENDED: { ACCEPTED: 'INVALID_TASK_STATE', RUNNING: 'RUNNING' },
  TASK_ACTION_ACCEPTED: { ACCEPTED: 'INVALID_TASK_STATE', RUNNING: 'RUNNING' },
  TASK_COMPLETED: { ACCEPTED: 'INVALID_TASK_STATE', RUNNING: 'COMPLETED' },
  TASK_FAILED: { ACCEPTED: 'FAILED', RUNNING: 'FAILED' },
  TASK_CANCELLED: { ACCEPTED: 'CANCELLED', RUNNING: 'CANCELLED' },
};

function expected(status: TaskStatus, type: TaskEventType): string {
  return status === 'ACCEPTED' || status === 'RUNNING' ? OPEN_OUTCOMES[type][status] : 'TASK_ALREADY_TERMINAL';
}

describe('the state machine of the append', () => {
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

  async function taskIn(status: TaskStatus): Promise<{ taskId: string; attempt: number; events: number }> {
    const { taskId } = await createTask(stores);
    const attempt = await stores.leases.beginAttempt(taskId);
    const types: TaskEventType[] = status === 'ACCEPTED' ? [] : ['TASK_STARTED'];
    if (status !== 'ACCEPTED' && status !== 'RUNNING') types.push(ENDINGS[status]);
    for (const type of types) await stores.events.append({ taskId, type, payload: PAYLOADS[type], attempt });
    return { taskId, attempt, events: types.length };
  }

  /** The status after the append, or the code of its refusal. */
  async function outcomeOf(status: TaskStatus, type: TaskEventType, enlisted: boolean): Promise<string> {
    const { taskId, attempt, events } = await taskIn(status);
    const append = { taskId, type, payload: PAYLOADS[type], attempt };
    const appended = enlisted
      ? stores.registry.transaction((manager) => stores.events.append(append, { manager }))
      : stores.events.append(append);
    const refusal = await appended.then(
      () => undefined,
      (error: { code: string }) => error.code,
    );
    const task = await stores.registry.getTask(taskId);
    expect(task?.lastSeq).toBe(refusal === undefined ? events + 1 : events);
    expect((await stores.events.listAfter(taskId, 0, 10)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: task?.lastSeq ?? -1 }, (_, index) => index + 1),
    );
    return refusal ?? String(task?.status);
  }

  for (const status of ['ACCEPTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED'] as const) {
    it(`takes in ${status} exactly the types that the table allows`, async () => {
      for (const type of TASK_EVENT_TYPES) {
        expect({ type, outcome: await outcomeOf(status, type, false) }).toEqual({
          type,
          outcome: expected(status, type),
        });
      }
    });

    it(`takes in ${status} the same inside a transaction`, async () => {
      for (const type of TASK_EVENT_TYPES) {
        expect({ type, outcome: await outcomeOf(status, type, true) }).toEqual({
          type,
          outcome: expected(status, type),
        });
      }
    });
  }

  it('judges each append of one flush by those before it', async () => {
    const { taskId } = await createTask(stores);
    const attempt = await stores.leases.beginAttempt(taskId);
    const types: TaskEventType[] = [
      'TASK_PROGRESS',
      'TASK_STARTED',
      'TASK_STARTED',
      'TASK_PROGRESS',
      'TASK_COMPLETED',
      'TASK_FAILED',
      'TASK_MESSAGE',
    ];
    const outcomes = await Promise.all(
      types.map((type, index) =>
        stores.events.append({ taskId, type, payload: PAYLOADS[type], attempt, appendNo: index + 1 }).then(
          ({ seq }) => seq,
          (error: { code: string }) => error.code,
        ),
      ),
    );
    expect(outcomes).toEqual([
      'INVALID_TASK_STATE',
      1,
      'INVALID_TASK_STATE',
      2,
      3,
      'TASK_ALREADY_TERMINAL',
      'TASK_ALREADY_TERMINAL',
    ]);
  });

  it('does not let the system start a task', async () => {
    const { taskId } = await createTask(stores);
    await expect(
      stores.events.append({ taskId, type: 'TASK_STARTED', payload: {}, attempt: null }),
    ).rejects.toMatchObject({ code: 'INVALID_TASK_STATE' });
  });

  it('writes start and end of a task as of their events', async () => {
    const { taskId, attempt } = await taskIn('RUNNING');
    await stores.events.append({ taskId, type: 'TASK_COMPLETED', payload: { result: undefined }, attempt });
    const task = await stores.registry.getTask(taskId);
    const [started, completed] = await stores.events.listAfter(taskId, 0, 2);
    expect(task?.startedAt?.toISOString()).toBe(started?.createdAt);
    expect(task?.finishedAt?.toISOString()).toBe(completed?.createdAt);
    expect(completed?.payloadJson).toBe('{"result":null}');
  });

  it('frees the lease, the queue and the pending hand-offs of a task that ends', async () => {
    const { taskId } = await createTask(stores);
    const processId = '0199d1b0-0000-7000-8000-00000000000a';
    const leased = await stores.leases.grantFirst({ taskId }, processId);
    const attempt = leased?.attempt ?? -1;
    await stores.registry.requestCancellation(taskId, { reason: 'stop', claimMs: 0 });
    await stores.events.append({ taskId, type: 'TASK_STARTED', payload: {}, attempt, appendNo: 1 });
    const [question] = await stores.suspensions.openSuspensions({
      taskId,
      attempt,
      requests: [
        { suspendId: 'a', reasonCode: 'R', allowedActions: ['go'] },
        { suspendId: 'b', reasonCode: 'R', allowedActions: ['go'] },
      ],
    });
    await stores.suspensions.acceptActionIfOpen({
      taskId,
      clientActionId: 'c',
      suspendId: question?.suspendId ?? '',
      actionType: 'go',
      payload: null,
      metadata: null,
      requestHash: 'h',
      acceptedBy: 'ann',
      claimMs: 0,
    });
    await stores.events.append({ taskId, type: 'TASK_FAILED', payload: PAYLOADS.TASK_FAILED, attempt });
    expect(await stores.registry.getTask(taskId)).toMatchObject({
      status: 'FAILED',
      leaseOwner: null,
      nextRunAt: null,
      submission: { state: 4, nextTryAt: null },
      cancellation: { state: 4, nextTryAt: null },
    });
    expect(await stores.receipts.getReceipt(taskId, 'c')).toMatchObject({ resume: { state: 4, nextTryAt: null } });
    expect(await stores.suspensions.getSuspension(taskId, 'b')).toMatchObject({ status: 3 });
    expect(await stores.suspensions.listPendingResumeHandoffs(10, 0)).toEqual([]);
    expect(await stores.registry.claimHandoffs('submission', 100, 0)).toEqual([]);
    expect(await stores.registry.claimHandoffs('cancellation', 100, 0)).toEqual([]);
  });
});
