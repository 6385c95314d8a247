import type { Abstract, Type } from '@nestjs/common';
import { isTerminalEventType } from '@taskbridge/protocol';
import { v7 as uuidv7 } from 'uuid';
import { TaskExecutor, type ResumeAction } from '../executors/task-executor.js';
import { EventStore } from '../stores/event.store.js';
import { SuspensionStatus, type JsonObject, type TaskRecord } from '../stores/records.js';
import { SuspensionStore } from '../stores/suspension.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import type { ContractTestApi } from './contract-test-api.js';
import { type LogEntry, readLog, waitForEnd, waitForLog } from './task-log.js';

/** An app with the module and the executor under test, on an empty database. */
export interface ExecutorContractApp {
  /** From the app's container: the executor and the stores. */
  get<T>(token: Type<T> | Abstract<T>): T;
  close(): Promise<void>;
}

export interface ExecutorContractHarness {
  open(): Promise<ExecutorContractApp>;
  /** Task types (and, where it needs any, the input) that make the executor behave so. */
  behaviours: {
    /** Reports progress at least once and completes. */
    completes: ContractTask;
    /** Fails. */
    fails: ContractTask;
    /** Suspends once with the allowed action `go`, and completes when it is resumed. Absent: it cannot suspend. */
    asks?: ContractTask;
    /** Goes on until it is cancelled. */
    waits: ContractTask;
  };
}

export interface ContractTask {
  taskType: string;
  input?: JsonObject;
}

/** Nobody else may take the hand-offs of the suite's tasks, in ms. */
const CLAIM_MS = 600_000;

/**
 * What every `TaskExecutor` must do, as tests. Call it in a test file of your own:
 * `describeTaskExecutorContract('MyExecutor', harness, { describe, it, beforeAll, afterAll, expect })`.
 */
export function describeTaskExecutorContract(
  name: string,
  harness: ExecutorContractHarness,
  { describe, it, beforeAll, afterAll, expect }: ContractTestApi,
): void {
  const { completes, fails, asks, waits } = harness.behaviours;
  const cancelReason = 'the suite wants it to stop';

  describe(`${name} keeps the TaskExecutor contract`, () => {
    let app: ExecutorContractApp;
    let executor: TaskExecutor;
    let events: EventStore;

    beforeAll(async () => {
      app = await harness.open();
      executor = app.get(TaskExecutor);
      events = app.get(EventStore);
    });
    afterAll(() => app.close());

    const start = async (what: ContractTask): Promise<TaskRecord> => {
      const task = await createTask(app, what);
      await executor.submitTask(task);
      return task;
    };
    const cancel = async ({ taskId }: TaskRecord): Promise<void> => {
      const registry = app.get(TaskRegistry);
      await registry.requestCancellation(taskId, { reason: cancelReason, claimMs: CLAIM_MS });
      const task = await registry.getTask(taskId);
      if (task !== undefined) await executor.requestCancellation(task);
    };

    it('runs a submitted task from TASK_STARTED to TASK_COMPLETED', async () => {
      const { taskId } = await start(completes);
      const types = typesOf(await waitForEnd(events, taskId));
      expect(types.at(0)).toBe('TASK_STARTED');
      expect(types.includes('TASK_PROGRESS')).toBe(true);
      expect(types.at(-1)).toBe('TASK_COMPLETED');
    });

    it('resolves a submission without waiting for the run', async () => {
      const task = await start(waits);
      expect(endingsOf(await readLog(events, task.taskId))).toEqual([]);
      await cancel(task);
      await waitForEnd(events, task.taskId);
    });

    it('runs a task once, however often it is submitted', async () => {
      const task = await createTask(app, completes);
      await Promise.all(Array.from({ length: 5 }, () => executor.submitTask(task)));
      await waitForEnd(events, task.taskId);
      await executor.submitTask(task);
      const types = typesOf(await readLog(events, task.taskId));
      expect(types.filter((type) => type === 'TASK_STARTED').length).toBe(1);
      expect(types.filter((type) => type === 'TASK_MESSAGE').length).toBe(0);
    });

    it('ends a failing task by one TASK_FAILED', async () => {
      const { taskId } = await start(fails);
      expect(endingsOf(await waitForEnd(events, taskId))).toEqual(['TASK_FAILED']);
    });

    it('ends a cancelled task CANCELLED, with the reason that was given', async () => {
      const task = await start(waits);
      await waitForLog(events, task.taskId, (log) => log.length > 0);
      await cancel(task);
      const log = await waitForEnd(events, task.taskId);
      expect(endingsOf(log)).toEqual(['TASK_CANCELLED']);
      expect(log.at(-1)?.payload.reason).toBe(cancelReason);
    });

    it('takes a cancellation repeated, of a task that has ended, and of one it does not know', async () => {
      const task = await start(waits);
      await Promise.all([cancel(task), cancel(task), cancel(task)]);
      const ended = await waitForEnd(events, task.taskId);
      await cancel(task);
      await executor.requestCancellation({ ...task, taskId: uuidv7() });
      expect(await readLog(events, task.taskId)).toEqual(ended);
    });

    it('gives a task one ending when its cancellation meets its completion', async () => {
      const tasks = await Promise.all(Array.from({ length: 10 }, () => start(completes)));
      await Promise.all(tasks.map(cancel));
      for (const { taskId } of tasks) {
        const endings = endingsOf(await waitForEnd(events, taskId));
        expect(endings.length).toBe(1);
        expect(endings[0] === 'TASK_COMPLETED' || endings[0] === 'TASK_CANCELLED').toBe(true);
      }
    });

    if (asks !== undefined) {
      it('resumes a suspended task once, however often the answer is handed over', async () => {
        const task = await start(asks);
        await waitForLog(events, task.taskId, (log) => typesOf(log).includes('TASK_SUSPENDED'));
        const action = await answer(app, task.taskId);
        const resume = () => executor.resumeTask?.(task, action);
        await Promise.all([resume(), resume(), resume()]);
        await waitForEnd(events, task.taskId);
        await resume();
        const types = typesOf(await readLog(events, task.taskId)).filter((type) => type !== 'TASK_PROGRESS');
        expect(types).toEqual(['TASK_STARTED', 'TASK_SUSPENDED', 'TASK_ACTION_ACCEPTED', 'TASK_COMPLETED']);
      });

      it('ends a suspended task CANCELLED when it is asked to', async () => {
        const task = await start(asks);
        await waitForLog(events, task.taskId, (log) => typesOf(log).includes('TASK_SUSPENDED'));
        await cancel(task);
        expect(endingsOf(await waitForEnd(events, task.taskId))).toEqual(['TASK_CANCELLED']);
      });
    }
  });
}

async function createTask(app: ExecutorContractApp, { taskType, input = {} }: ContractTask): Promise<TaskRecord> {
  const taskId = uuidv7();
  const { task } = await app.get(TaskRegistry).createTask({
    taskId,
    ownerId: 'contract',
    appId: null,
    clientRequestId: taskId,
    taskType,
    input,
    metadata: {},
    requestHash: taskId,
    deadlineMs: null,
    traceparent: null,
    submissionClaimMs: CLAIM_MS,
  });
  return task;
}

async function answer(app: ExecutorContractApp, taskId: string): Promise<ResumeAction> {
  const suspensions = app.get(SuspensionStore);
  const [open] = await suspensions.listOpen(taskId);
  if (open === undefined) throw new Error(`Task ${taskId} has no open question`);
  const { receipt } = await suspensions.acceptActionIfOpen({
    taskId,
    clientActionId: uuidv7(),
    suspendId: open.suspendId,
    actionType: 'go',
    payload: null,
    metadata: null,
    requestHash: uuidv7(),
    acceptedBy: 'contract',
    claimMs: CLAIM_MS,
  });
  if (receipt === null) throw new Error(`The answer to task ${taskId} was not accepted`);
  return { receipt, suspension: { ...open, status: SuspensionStatus.resolved, resolvedBy: receipt.clientActionId } };
}

function typesOf(log: readonly LogEntry[]): string[] {
  return log.map(({ type }) => type);
}

function endingsOf(log: readonly LogEntry[]): string[] {
  return log.filter(({ type }) => isTerminalEventType(type)).map(({ type }) => type);
}
