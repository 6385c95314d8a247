import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DIAGNOSIS_KINDS, type TaskDiagnosis } from '@taskbridge/protocol';
import { v7 as uuidv7 } from 'uuid';
import { TaskCreationService } from '../../lib/services/task-creation.service.js';
import { TaskDiagnosisService } from '../../lib/services/task-diagnosis.service.js';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { ScriptedExecutor } from '../support/fake-executors.js';
import type { HttpClient } from '../support/http-client.js';
import { gate, handler } from '../support/task-instance.js';
import { WireValidator } from '../support/wire-validator.js';

const TASKS = '/api/v1/tasks';
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

const wire = new WireValidator();
const kindsSeen = new Set<string>();

/** The diagnosis, checked against the schema and the OpenAPI. */
async function diagnose(client: HttpClient, taskId: string): Promise<TaskDiagnosis> {
  const { status, body } = await client.get(`${TASKS}/${taskId}/diagnosis`);
  expect(status).toBe(200);
  wire.body('task-diagnosis', 'GET', `${TASKS}/{taskId}/diagnosis`, status, body);
  const diagnosis = body as unknown as TaskDiagnosis;
  for (const { kind } of diagnosis.reasons) kindsSeen.add(kind);
  return diagnosis;
}

/** The first diagnosis whose reasons are of these kinds. */
async function until(client: HttpClient, taskId: string, kinds: readonly string[]): Promise<TaskDiagnosis> {
  const latest: { diagnosis?: TaskDiagnosis } = {};
  await eventually(async () => {
    latest.diagnosis = await diagnose(client, taskId);
    return JSON.stringify(latest.diagnosis.reasons.map(({ kind }) => kind)) === JSON.stringify(kinds);
  });
  return latest.diagnosis as TaskDiagnosis;
}

describe('A diagnosis of a task that the app runs itself', () => {
  const hold = gate();
  let host: TestApp;
  let ada: HttpClient;

  beforeAll(async () => {
    const providers = [
      handler(
        'holds',
        {
          run: async (task) => {
            if (task.input.says === true) await task.message('here');
            await hold.opened;
            return 'done';
          },
        },
        { concurrency: 1 },
      ),
      handler('asks', {
        run: async (task) =>
          task.suspend([
            { suspendId: 'soon', reasonCode: 'MAY_I', allowedActions: ['yes', 'no'], expiresInMs: 3_600_000 },
            {
              suspendId: 'later',
              reasonCode: 'WHICH',
              allowedActions: ['a'],
              expiresInMs: 7_200_000,
              onExpiry: { resume: 'a' },
            },
            { suspendId: 'ever', reasonCode: 'WHO', allowedActions: ['me'] },
          ]),
        resume: async (task) => task.keepWaiting(),
      }),
    ];
    host = await startTestApp({
      providers,
      taskBridge: { instanceName: 'worker-1', reconciliation: { enabled: false } },
    });
    ada = host.as('ada');
  });

  afterAll(async () => {
    hold.open();
    await host.close();
  });

  it('names the run, then the queue behind it, then the end', async () => {
    const running = await ada.create('holds', { says: true });
    await ada.until(running, (task) => task.lastEventId === '2-0');
    const queued = await ada.create('holds');
    const run = await until(ada, running, ['RUN']);
    const [{ since }] = await host.query<{ since: Date }>(
      'select created_at as since from taskbridge_events where task_id = $1 and seq = 1',
      [running],
    );
    expect(run).toEqual({
      taskId: running,
      status: 'RUNNING',
      checkedAt: TIME,
      deadlineAt: null,
      lastEventId: '2-0',
      reasons: [
        {
          kind: 'RUN',
          message: `Attempt 1 runs on worker-1 and reports since ${since.toISOString()}.`,
          since: since.toISOString(),
          attempt: 1,
          host: 'worker-1',
          leaseExpiresAt: TIME,
          lastEventAt: TIME,
        },
      ],
    });
    const { reasons } = await until(ada, queued, ['QUEUE']);
    expect(reasons).toEqual([
      {
        kind: 'QUEUE',
        message: expect.stringMatching(/^The task waits since .*Z for a free slot of a process that runs "holds"\.$/),
        since: TIME,
        dueAt: TIME,
      },
    ]);
    hold.open();
    const { finishedAt } = await ada.until(running, (task) => task.status === 'COMPLETED');
    expect((await diagnose(ada, running)).reasons).toEqual([
      { kind: 'ENDED', message: 'The task waits for nothing: it has ended as COMPLETED.', since: finishedAt },
    ]);
    await ada.until(queued, (task) => task.status === 'COMPLETED');
  });

  it('names every open question, oldest first', async () => {
    const taskId = await ada.create('asks');
    await until(ada, taskId, ['QUESTION', 'QUESTION', 'QUESTION']);
    const question = { kind: 'QUESTION', since: TIME, suspensionKind: 'USER_ACTION_REQUIRED' };
    const { reasons } = await diagnose(ada, taskId);
    expect(reasons).toMatchObject([
      { ...question, suspendId: 'soon', reasonCode: 'MAY_I', allowedActions: ['yes', 'no'], onExpiry: 'fail' },
      { ...question, suspendId: 'later', reasonCode: 'WHICH', expiresAt: TIME, onExpiry: 'resume' },
      { ...question, suspendId: 'ever', reasonCode: 'WHO', expiresAt: null, onExpiry: null },
    ]);
    expect(reasons[2]?.message).toMatch(/^The question "WHO" waits since .*Z for one of me; it never expires\.$/);
    await ada.post(`${TASKS}/${taskId}/cancel`);
    expect((await diagnose(ada, taskId)).reasons).toMatchObject([{ kind: 'ENDED' }]);
  });

  it('tells a lease that is over from one that holds', async () => {
    const taskId = await ada.create('asks');
    await until(ada, taskId, ['QUESTION', 'QUESTION', 'QUESTION']);
    const processId = uuidv7();
    await host.query('update taskbridge_tasks set lease_owner = $2 where task_id = $1', [taskId, processId]);
    expect((await diagnose(ada, taskId)).reasons[0]).toEqual({
      kind: 'LEASE_EXPIRED',
      message: 'Attempt 1 ran in a process that is gone; another process takes the task over.',
      since: null,
      attempt: 1,
      host: null,
    });
    await host.query(
      `insert into taskbridge_processes values ($1, 'worker-2', 1, now(), now() - interval '1 second')`,
      [processId],
    );
    expect((await diagnose(ada, taskId)).reasons[0]).toMatchObject({
      kind: 'LEASE_EXPIRED',
      message: 'Attempt 1 ran in worker-2, which has not renewed its lease; another process takes the task over.',
      since: TIME,
      host: 'worker-2',
    });
    await host.query(
      `update taskbridge_tasks set lease_owner = null, retries = 1, next_run_at = '2100-01-01' where task_id = $1`,
      [taskId],
    );
    expect((await diagnose(ada, taskId)).reasons[0]).toEqual({
      kind: 'QUEUE',
      message: 'The task runs again at 2100-01-01T00:00:00.000Z (interrupted runs: 1).',
      since: null,
      dueAt: '2100-01-01T00:00:00.000Z',
    });
  });

  it('admits that nothing will bring a stranded task forward', async () => {
    const taskId = await ada.create('asks');
    await until(ada, taskId, ['QUESTION', 'QUESTION', 'QUESTION']);
    await host.query('update taskbridge_suspensions set status = 3, resolved_at = now() where task_id = $1', [taskId]);
    expect((await diagnose(ada, taskId)).reasons).toMatchObject([{ kind: 'STRANDED', since: TIME }]);
  });

  it('is only for whoever may read the task', async () => {
    const taskId = await ada.create('asks');
    const ask = async (client: HttpClient, id: string) => {
      const { status, body } = await client.get(`${TASKS}/${id}/diagnosis`);
      wire.body('error-envelope', 'GET', `${TASKS}/{taskId}/diagnosis`, status, body);
      return [status, body['code']];
    };
    expect(await ask(host.as('eve'), taskId)).toEqual([404, 'TASK_NOT_FOUND']);
    expect(await ask(ada, uuidv7())).toEqual([404, 'TASK_NOT_FOUND']);
    expect(await ask(ada, 'nonsense')).toEqual([404, 'TASK_NOT_FOUND']);
    expect(await ask(host.as(null), taskId)).toEqual([401, 'AUTHENTICATION_ERROR']);
    await expect(host.get(TaskDiagnosisService).diagnose(uuidv7())).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    expect((await host.get(TaskDiagnosisService).diagnose(taskId)).taskId).toBe(taskId);
  });
});

describe('A diagnosis of a task that another executor runs', () => {
  const broken = { submit: false, resume: false, cancel: false };
  const breaks = (what: keyof typeof broken) => () => {
    if (broken[what]) throw new Error(`no ${what} at http://app:pass@engine\n    at call (/srv/engine.js:1:1)`);
  };
  let host: TestApp;
  let ada: HttpClient;

  beforeAll(async () => {
    const script = { submit: breaks('submit'), resume: breaks('resume'), cancel: breaks('cancel') };
    host = await startTestApp({
      taskBridge: {
        executor: { useFactory: () => new ScriptedExecutor(script) },
        reconciliation: { enabled: false, backoffMs: 60_000, maxBackoffMs: 60_000 },
      },
    });
    ada = host.as('ada');
  });

  afterAll(() => host.close());

  const handoff = (lastError: string) => ({
    since: TIME,
    attempts: 1,
    lastError,
    nextTryAt: TIME,
    message: expect.stringContaining(`The latest try failed: ${lastError}`),
  });

  it('names the submission that failed, without its stack and credentials', async () => {
    broken.submit = true;
    const taskId = await ada.create('any');
    broken.submit = false;
    const { status, reasons, lastEventId } = await diagnose(ada, taskId);
    expect([status, lastEventId]).toEqual(['ACCEPTED', null]);
    expect(reasons).toEqual([{ kind: 'SUBMISSION_HANDOFF', ...handoff('no submit at http://engine') }]);
  });

  it('names the executor, then the answer and the cancellation that did not reach it', async () => {
    const taskId = await ada.create('any');
    expect((await diagnose(ada, taskId)).reasons).toEqual([
      {
        kind: 'EXECUTOR',
        message: "The task's executor has it and has reported nothing yet.",
        since: null,
        attempt: 0,
        lastEventAt: null,
      },
    ]);
    const attempt = await host.get(TaskReporter).beginAttempt(taskId);
    await attempt.started();
    expect((await diagnose(ada, taskId)).reasons).toMatchObject([
      { kind: 'EXECUTOR', since: TIME, attempt: 1, lastEventAt: TIME },
    ]);
    await attempt.suspend([
      { suspendId: 'q1', reasonCode: 'ONE', allowedActions: ['go'] },
      { suspendId: 'q2', reasonCode: 'TWO', allowedActions: ['go'] },
    ]);
    broken.resume = true;
    await ada.post(`${TASKS}/${taskId}/actions`, { clientActionId: 'a-1', suspendId: 'q1', actionType: 'go' });
    const answered = await until(ada, taskId, ['RESUME_HANDOFF', 'QUESTION']);
    await eventually(async () =>
      (await diagnose(ada, taskId)).reasons.some((reason) => 'lastError' in reason && reason.lastError !== null),
    );
    expect(answered.reasons[1]).toMatchObject({ kind: 'QUESTION', suspendId: 'q2' });
    expect((await diagnose(ada, taskId)).reasons[0]).toEqual({
      kind: 'RESUME_HANDOFF',
      ...handoff('no resume at http://engine'),
      clientActionId: 'a-1',
      suspendId: 'q1',
    });
  });

  it('names a cancellation until it is delivered, and while the executor takes its time', async () => {
    const taskId = await ada.create('any');
    const attempt = await host.get(TaskReporter).beginAttempt(taskId);
    await attempt.started();
    broken.cancel = true;
    await ada.post(`${TASKS}/${taskId}/cancel`, { reason: 'too late' });
    await eventually(async () => {
      const [first] = (await diagnose(ada, taskId)).reasons;
      return first?.kind === 'CANCELLATION_HANDOFF' && first.lastError !== null;
    });
    const { reasons } = await diagnose(ada, taskId);
    expect(reasons[0]).toEqual({ kind: 'CANCELLATION_HANDOFF', ...handoff('no cancel at http://engine') });
    expect(reasons[1]).toMatchObject({ kind: 'EXECUTOR' });
    broken.cancel = false;
    await host.query('update taskbridge_tasks set cancel_state = 2, cancel_next_try_at = null where task_id = $1', [
      taskId,
    ]);
    expect((await diagnose(ada, taskId)).reasons).toMatchObject([
      { kind: 'CANCELLATION', since: TIME, reason: 'too late' },
      { kind: 'EXECUTOR' },
    ]);
    await attempt.cancelled();
    expect((await diagnose(ada, taskId)).reasons).toMatchObject([
      { kind: 'ENDED', message: 'The task waits for nothing: it has ended as CANCELLED.' },
    ]);
  });

  it('names a deadline that has passed, and shows one that has not', async () => {
    const auth = { subject: 'ada', scopes: [], appId: null, attributes: {} };
    const create = (deadlineMs: number) =>
      host
        .get(TaskCreationService)
        .createTask({ auth, clientRequestId: uuidv7(), taskType: 'any', input: {}, deadlineMs });
    const [late, early] = [await create(1), await create(3_600_000)];
    await eventually(async () => (await diagnose(ada, late.taskId)).reasons[0]?.kind === 'DEADLINE');
    const { deadlineAt, reasons } = await diagnose(ada, late.taskId);
    expect(reasons).toMatchObject([{ kind: 'DEADLINE', since: deadlineAt }, { kind: 'EXECUTOR' }]);
    const other = await diagnose(ada, early.taskId);
    expect([other.reasons[0]?.kind, other.deadlineAt]).toEqual(['EXECUTOR', TIME]);
  });

  it('was asked for in every situation that there is, each of them documented', () => {
    expect([...kindsSeen].toSorted()).toEqual([...DIAGNOSIS_KINDS].toSorted());
    const guide = readFileSync('docs/services-and-routes.md', 'utf8');
    const section = guide.slice(guide.indexOf('## Why a task does not go on'));
    const documented = [...section.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, kind]) => kind);
    expect(documented).toEqual([...DIAGNOSIS_KINDS]);
  });
});

describe('The path of the diagnosis', () => {
  it('moves with the other task routes', async () => {
    const host = await startTestApp({ taskBridge: { http: { tasksPath: '/jobs' }, execution: false } });
    try {
      const ada = host.as('ada');
      const { body } = await ada.post('/jobs', { clientRequestId: 'one', taskType: 'any' });
      const answer = await ada.get(`/jobs/${String(body['taskId'])}/diagnosis`);
      expect([answer.status, answer.body['status']]).toEqual([200, 'ACCEPTED']);
      expect(answer.body['reasons']).toMatchObject([{ kind: 'SUBMISSION_HANDOFF', attempts: 0, lastError: null }]);
      expect((await ada.get(`${TASKS}/${String(body['taskId'])}/diagnosis`)).status).toBe(404);
    } finally {
      await host.close();
    }
  });
});
