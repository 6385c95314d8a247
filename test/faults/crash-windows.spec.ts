import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TaskActionService } from '../../lib/services/task-action.service.js';
import { eventually } from '../support/eventually.js';
import { CrashScene } from './support/crash-scene.js';
import { SpareHosts } from './support/fault-cluster.js';

// Each test kills one process right before it sends a statement or right after the database has done it, and lets
// another instance go on. The points are named by the statements themselves.

const CREATE = { clientRequestId: 'create-1', taskType: 'steps', input: { steps: 2, delayMs: 5 } };
const STEPS = ['TASK_STARTED', 'TASK_PROGRESS', 'TASK_PROGRESS', 'TASK_COMPLETED'];
const ASKED = ['TASK_STARTED', 'TASK_MESSAGE', 'TASK_SUSPENDED'];
const ANSWERED = [...ASKED, 'TASK_ACTION_ACCEPTED', 'TASK_MESSAGE', 'TASK_COMPLETED'];
const ANSWER = { clientActionId: 'answer-1', suspendId: 'q1', actionType: 'left', payload: { n: 7 } };
const RESULT = { answers: [{ suspendId: 'q1', action: 'left', payload: { n: 7 } }] };

const INSERT_TASK = 'insert into \\S*tasks\\S* as t';
const INSERT_RECEIPT = 'insert into \\S*receipts';
const INSERT_QUESTION = 'insert into \\S*suspensions';
const REQUEST_CANCEL = 'cancel_requested_at = coalesce';
const COMMIT = '^commit';

const without = (types: readonly string[], type: string): string[] => types.filter((one) => one !== type);

describe('A process that dies', () => {
  const spares = new SpareHosts();
  let scene: CrashScene;

  beforeEach(async () => {
    scene = await CrashScene.open(spares);
  });
  afterEach(() => scene.close());
  afterAll(() => spares.close());

  /** A client that repeats its create, action or cancel on the other instance. */
  const createAgain = async (): Promise<string> =>
    (await scene.other()).create(CREATE.taskType, CREATE.input, { clientRequestId: CREATE.clientRequestId });
  const answerAgain = async (taskId: string, clientActionId = ANSWER.clientActionId): Promise<string> => {
    const command = { ...ANSWER, taskId, clientActionId, acceptedBy: 'ada' };
    return (await (await scene.other()).get(TaskActionService).submitAction(command)).status;
  };
  const oneTask = async (): Promise<string> => {
    const rows = await scene.rows<{ task_id: string }>('select task_id from taskbridge_tasks');
    expect(rows.length).toBe(1);
    return rows[0]?.task_id ?? '';
  };
  /** A task of the victim's that waits for the answer to its first question. */
  const asked = async (questions = 1) => {
    const victim = await scene.victim();
    const taskId = await victim.create('questions', { questions });
    await victim.logged(taskId, ASKED.length);
    return { victim, taskId };
  };
  const answered = async (taskId: string): Promise<void> => {
    const log = await scene.endOf(taskId);
    expect(
      without(
        log.map(({ type }) => type),
        'TASK_MESSAGE',
      ),
    ).toEqual(without(ANSWERED, 'TASK_MESSAGE'));
    expect(log.at(-1)?.payload.result).toEqual(RESULT);
  };

  describe('while it creates a task', () => {
    it('before the task is written leaves nothing, and the repeated create makes the one task', async () => {
      const victim = await scene.victim({ at: INSERT_TASK, when: 'before' });
      expect(await victim.post('', CREATE)).toBeUndefined();
      await victim.dies();
      expect(await scene.rows('select 1 from taskbridge_tasks')).toEqual([]);
      const taskId = await createAgain();
      expect(await scene.storyOf(taskId)).toEqual(STEPS);
      expect(await oneTask()).toBe(taskId);
    });

    it('after the task is written leaves it to be submitted, and the repeated create finds it', async () => {
      const victim = await scene.victim({ at: INSERT_TASK, when: 'after' });
      expect(await victim.post('', CREATE)).toBeUndefined();
      await victim.dies();
      const taskId = await oneTask();
      expect(await scene.storyOf(taskId)).toEqual(STEPS);
      expect(await createAgain()).toBe(taskId);
      expect(await oneTask()).toBe(taskId);
    });
  });

  describe('while it submits a task', () => {
    it('before the executor has it is followed by another who submits it', async () => {
      const victim = await scene.victim({ at: 'set lease_owner = \\$3', when: 'before' });
      await victim.post('', CREATE);
      await victim.dies();
      expect(await scene.storyOf(await oneTask())).toEqual(STEPS);
    });

    it('after the lease is granted and before the run is followed by one start', async () => {
      const victim = await scene.victim({ at: 'set lease_owner = \\$3', when: 'after' });
      await victim.post('', CREATE);
      await victim.dies();
      expect(await scene.storyOf(await oneTask())).toEqual(STEPS);
    });

    it('before the delivery is recorded does not have the task run twice at a time', async () => {
      const victim = await scene.victim({ at: 'submission_state = 2', when: 'before' });
      await victim.post('', { ...CREATE, taskType: 'stubborn' });
      await victim.dies();
      const taskId = await oneTask();
      const other = await scene.other();
      await eventually(async () => {
        const { retries, leaseOwner } = await other.task(taskId);
        return retries === 1 && leaseOwner !== null;
      });
      await other.cancel(taskId);
      const log = await scene.endOf(taskId);
      expect(log.at(-1)?.type).toBe('TASK_CANCELLED');
      expect(log.filter(({ type }) => type === 'TASK_STARTED').length).toBe(1);
    });

    it('after the task is queued is followed by one who takes it from the queue', async () => {
      const victim = await scene.victim({ at: 'set next_run_at = clock_timestamp\\(\\), deadline_at', when: 'after' });
      const busy = await victim.create('single', { steps: 200, delayMs: 50 });
      await victim.post('', { ...CREATE, taskType: 'single' });
      await victim.dies();
      const other = await scene.other();
      await other.cancel(busy);
      const queued = await scene.rows<{ task_id: string }>(
        `select task_id from taskbridge_tasks where client_request_id = '${CREATE.clientRequestId}'`,
      );
      expect(await scene.storyOf(queued[0]?.task_id ?? '')).toEqual(STEPS);
    });

    it('before the first report is followed by a run that starts the task', async () => {
      const victim = await scene.victim({ at: '"type":0,', when: 'before' });
      await victim.post('', CREATE);
      await victim.dies();
      expect(await scene.storyOf(await oneTask())).toEqual(STEPS);
    });

    it('after the first report is followed by a run that does not start the task again', async () => {
      const victim = await scene.victim({ at: '"type":0,', when: 'after' });
      await victim.post('', CREATE);
      await victim.dies();
      expect(await scene.storyOf(await oneTask())).toEqual(['TASK_STARTED', 'TASK_MESSAGE', ...STEPS.slice(1)]);
    });
  });

  describe('while a run asks a question', () => {
    it('before the question is written is followed by a run that asks it once', async () => {
      const victim = await scene.victim({ at: COMMIT, following: INSERT_QUESTION, when: 'before' });
      await victim.post('', { ...CREATE, taskType: 'questions', input: { questions: 1 } });
      await victim.dies();
      const taskId = await oneTask();
      await (await scene.other()).questions(taskId);
      expect(await answerAgain(taskId)).toBe('ACCEPTED');
      await answered(taskId);
    });

    it('after the question is written leaves a task that waits for its answer and runs nowhere', async () => {
      const victim = await scene.victim({ at: COMMIT, following: INSERT_QUESTION, when: 'after' });
      await victim.post('', { ...CREATE, taskType: 'questions', input: { questions: 1 } });
      await victim.dies();
      const taskId = await oneTask();
      expect((await (await scene.other()).task(taskId)).leaseOwner).toBeNull();
      expect(await answerAgain(taskId)).toBe('ACCEPTED');
      expect(await scene.storyOf(taskId)).toEqual(ANSWERED);
      await answered(taskId);
    });
  });

  describe('while it accepts an answer', () => {
    it('before the answer is written leaves the question open, and the repeated answer is the one accepted', async () => {
      const { victim, taskId } = await asked();
      await victim.armCrash({ at: COMMIT, following: INSERT_RECEIPT, when: 'before' });
      expect(await victim.post(`/${taskId}/actions`, ANSWER)).toBeUndefined();
      await victim.dies();
      expect(await scene.rows('select 1 from taskbridge_receipts')).toEqual([]);
      expect(await answerAgain(taskId)).toBe('ACCEPTED');
      await answered(taskId);
    });

    it('after the answer is written keeps it with its payload, and the repeated answer is a duplicate', async () => {
      const { victim, taskId } = await asked();
      await victim.armCrash({ at: COMMIT, following: INSERT_RECEIPT, when: 'after' });
      expect(await victim.post(`/${taskId}/actions`, ANSWER)).toBeUndefined();
      await victim.dies();
      expect(await answerAgain(taskId)).toBe('DEDUPLICATED');
      expect(await answerAgain(taskId, 'somebody-else')).toBe('REJECTED_ALREADY_RESOLVED');
      await answered(taskId);
    });
  });

  describe('while it resumes a task', () => {
    it('before the executor has the answer is followed by another who hands it over', async () => {
      const { victim, taskId } = await asked();
      await victim.armCrash({ at: 'next_run_at = clock_timestamp\\(\\)\\s+where t.task_id = \\$1', when: 'before' });
      await victim.post(`/${taskId}/actions`, ANSWER);
      await victim.dies();
      await answered(taskId);
    });

    it('after the task is queued for its answer resumes it once', async () => {
      const { victim, taskId } = await asked();
      await victim.armCrash({ at: 'next_run_at = clock_timestamp\\(\\)\\s+where t.task_id = \\$1', when: 'after' });
      await victim.post(`/${taskId}/actions`, ANSWER);
      await victim.dies();
      expect(await scene.storyOf(taskId)).toEqual(ANSWERED);
      await answered(taskId);
    });

    it('before the delivery of the answer is recorded does not hand it over to a second run', async () => {
      const { victim, taskId } = await asked(2);
      await victim.armCrash({ at: 'set resume_state = 2', when: 'before' });
      await victim.post(`/${taskId}/actions`, ANSWER);
      await victim.dies();
      const other = await scene.other();
      await other.questions(taskId, 2);
      await other.answer(taskId, 'q2', 'right', { n: 8 });
      const result = { answers: [...RESULT.answers, { suspendId: 'q2', action: 'right', payload: { n: 8 } }] };
      expect((await scene.endOf(taskId)).at(-1)?.payload.result).toEqual(result);
    });

    it('with the lease and before the run has read the answer gives it to the next run', async () => {
      const { victim, taskId } = await asked();
      await victim.armCrash({ at: 'resume_state in \\(1, 2\\) order by r.event_seq limit 1', when: 'before' });
      await victim.post(`/${taskId}/actions`, ANSWER);
      await victim.dies();
      await answered(taskId);
    });

    it('before the next question is written gives the first answer to the next run, which asks once', async () => {
      const { victim, taskId } = await asked(2);
      await victim.armCrash({ at: COMMIT, following: 'set resume_state = 3', when: 'before' });
      await victim.post(`/${taskId}/actions`, ANSWER);
      await victim.dies();
      const other = await scene.other();
      expect(await other.questions(taskId, 2)).toEqual(['q1', 'q2']);
      await other.answer(taskId, 'q2', 'right', { n: 8 });
      const result = { answers: [...RESULT.answers, { suspendId: 'q2', action: 'right', payload: { n: 8 } }] };
      expect((await scene.endOf(taskId)).at(-1)?.payload.result).toEqual(result);
    });

    it('after the next question is written does not give the first answer again', async () => {
      const { victim, taskId } = await asked(2);
      await victim.armCrash({ at: COMMIT, following: 'set resume_state = 3', when: 'after' });
      await victim.post(`/${taskId}/actions`, ANSWER);
      await victim.dies();
      const other = await scene.other();
      await other.answer(taskId, 'q2', 'right', { n: 8 });
      const log = await scene.endOf(taskId);
      expect(log.filter(({ type }) => type === 'TASK_MESSAGE').map(({ payload }) => payload.message)).toEqual([
        'step 1',
        'step 2',
        'step 3',
      ]);
    });
  });

  describe('while it cancels a task', () => {
    const running = async () => {
      const victim = await scene.victim();
      const taskId = await victim.create('stubborn');
      await victim.logged(taskId, 2);
      return { victim, taskId };
    };

    it('before the request is written leaves the task to run, and the repeated cancel ends it', async () => {
      const { victim, taskId } = await running();
      await victim.armCrash({ at: COMMIT, following: REQUEST_CANCEL, when: 'before' });
      expect(await victim.post(`/${taskId}/cancel`, { reason: 'enough' })).toBeUndefined();
      await victim.dies();
      const other = await scene.other();
      expect((await other.task(taskId)).cancelRequestedAt).toBeNull();
      expect((await other.cancel(taskId, 'enough')).status).toBe('CANCELLATION_REQUESTED');
      expect((await scene.endOf(taskId)).at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'enough' } });
    });

    it('after the request is written has the task end CANCELLED with its reason, never run again', async () => {
      const { victim, taskId } = await running();
      await victim.armCrash({ at: COMMIT, following: REQUEST_CANCEL, when: 'after' });
      expect(await victim.post(`/${taskId}/cancel`, { reason: 'enough' })).toBeUndefined();
      await victim.dies();
      const log = await scene.endOf(taskId);
      expect(log.map(({ type }) => type)).toEqual(['TASK_STARTED', 'TASK_MESSAGE', 'TASK_CANCELLED']);
      expect(log.at(-1)?.payload).toEqual({ reason: 'enough' });
    });

    it('after the request is written still stops the run on another instance', async () => {
      const other = await scene.other();
      const victim = await scene.victim({ at: COMMIT, following: REQUEST_CANCEL, when: 'after' });
      const taskId = await other.create('steps', { steps: 1_000, delayMs: 30 });
      await other.until(taskId, (log) => log.length > 2);
      await victim.post(`/${taskId}/cancel`, { reason: 'enough' });
      await victim.dies();
      expect((await scene.endOf(taskId)).at(-1)).toEqual({ type: 'TASK_CANCELLED', payload: { reason: 'enough' } });
    });

    it('that waits for an answer leaves it waiting, or CANCELLED with its question closed', async () => {
      for (const when of ['before', 'after'] as const) {
        const { victim, taskId } = await asked();
        await victim.armCrash({ at: COMMIT, following: '"type":7,', when });
        expect(await victim.post(`/${taskId}/cancel`, { reason: 'enough' })).toBeUndefined();
        await victim.dies();
        const other = await scene.other();
        expect((await other.task(taskId)).status).toBe(when === 'before' ? 'RUNNING' : 'CANCELLED');
        await other.cancel(taskId, 'enough');
        expect(await scene.storyOf(taskId)).toEqual([...ASKED, 'TASK_CANCELLED']);
      }
    });
  });

  describe('while a run ends', () => {
    it('before the completion is written is followed by a run that completes the task once', async () => {
      const victim = await scene.victim({ at: '"type":5,', when: 'before' });
      await victim.post('', CREATE);
      await victim.dies();
      expect(await scene.storyOf(await oneTask())).toEqual([...STEPS.slice(0, 3), 'TASK_MESSAGE', ...STEPS.slice(1)]);
    });

    it('after the completion is written leaves the ended task alone', async () => {
      const victim = await scene.victim({ at: '"type":5,', when: 'after' });
      await victim.post('', CREATE);
      await victim.dies();
      const taskId = await oneTask();
      expect(await scene.storyOf(taskId)).toEqual(STEPS);
      expect((await (await scene.other()).task(taskId)).retries).toBe(0);
    });

    it('before the deadline is written has the task fail with DEADLINE_EXCEEDED once', async () => {
      const victim = await scene.victim({ at: '"type":6,', when: 'before' });
      await victim.post('', { ...CREATE, taskType: 'overdue', input: {} });
      await victim.dies();
      const log = await scene.endOf(await oneTask());
      // Whoever takes the run over may say so before the deadline is noticed.
      const types = log.map(({ type }) => type).filter((type) => type !== 'TASK_MESSAGE');
      expect(types).toEqual(['TASK_STARTED', 'TASK_FAILED']);
      expect(log.at(-1)?.payload).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    });
  });

  describe('while a question expires', () => {
    const EXPIRED = 'set status = \\$3, resolved_at';
    const expiring = { questions: 1, expiresInMs: 200 };

    it.each(['before', 'after'] as const)('%s that is written acts as onExpiry: fail says, once', async (when) => {
      const victim = await scene.victim({ at: COMMIT, following: EXPIRED, when });
      await victim.post('', { ...CREATE, taskType: 'questions', input: { ...expiring, onExpiry: 'fail' } });
      await victim.dies();
      const log = await scene.endOf(await oneTask());
      expect(log.map(({ type }) => type)).toEqual([...ASKED, 'TASK_FAILED']);
      expect(log.at(-1)?.payload).toMatchObject({ code: 'SUSPENSION_EXPIRED' });
    });

    it.each(['before', 'after'] as const)('%s that is written resumes with the default action, once', async (when) => {
      const victim = await scene.victim({ at: COMMIT, following: EXPIRED, when });
      await victim.post('', { ...CREATE, taskType: 'questions', input: expiring });
      await victim.dies();
      const log = await scene.endOf(await oneTask());
      expect(log.map(({ type }) => type)).toEqual(ANSWERED);
      expect(log.at(-1)?.payload.result).toEqual({
        answers: [{ suspendId: 'q1', action: 'left', payload: { n: 0 } }],
      });
    });
  });

  describe('while it takes a task over from another that died', () => {
    it.each(['before', 'after'] as const)('%s that is written leaves the task to a third', async (when) => {
      const first = await scene.victim();
      const taskId = await first.create('steps', { steps: 20, delayMs: 500 });
      await first.logged(taskId, 2);
      const second = await scene.victim({ at: 'retries = t.retries \\+ 1', when });
      await first.kill();
      await second.dies();
      const log = await scene.endOf(taskId);
      expect(log.at(-1)).toEqual({ type: 'TASK_COMPLETED', payload: { result: { steps: 20 } } });
    });

    it.each(['before', 'after'] as const)(
      '%s it is ended, its policy being so, has a third end it once',
      async (when) => {
        const first = await scene.victim();
        const taskId = await first.create('fragile');
        await first.logged(taskId, 1);
        const second = await scene.victim({ at: COMMIT, following: 'retries = t.retries \\+ 1', when });
        await first.kill();
        await second.dies();
        const log = await scene.endOf(taskId);
        expect(log.map(({ type }) => type)).toEqual(['TASK_STARTED', 'TASK_FAILED']);
        expect(log.at(-1)?.payload).toMatchObject({ code: 'EXECUTION_INTERRUPTED' });
      },
    );
  });

  describe('while it hands its runs back at shutdown', () => {
    it.each(['before', 'after'] as const)('%s that is written leaves them to another', async (when) => {
      const victim = await scene.victim();
      const taskId = await victim.create('stubborn');
      await victim.logged(taskId, 2);
      await victim.armCrash({ at: 'with held as materialized', when });
      victim.terminate();
      await victim.dies();
      const other = await scene.other();
      await other.until(taskId, (log) => log.length > 2);
      await other.cancel(taskId);
      expect((await scene.endOf(taskId)).at(-1)?.type).toBe('TASK_CANCELLED');
    });
  });
});
