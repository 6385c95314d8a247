import { v7 as uuidv7 } from 'uuid';
import type { ActionReceiptStore } from '../stores/action-receipt.store.js';
import type { EventStore } from '../stores/event.store.js';
import type { TaskRecord } from '../stores/records.js';
import type { ActionSubmission, SuspensionStore } from '../stores/suspension.store.js';
import type { NewTask, TaskRegistry } from '../stores/task-registry.js';

/** One set of stores as the contract suite uses it; the suites create their own tasks and never clear anything. */
export interface ContractStores {
  registry: TaskRegistry;
  events: EventStore;
  suspensions: SuspensionStore;
  receipts: ActionReceiptStore;
  /** Opens the task's next attempt, which fences the one before, and returns its number. */
  beginAttempt(taskId: string): Promise<number>;
  /** Releases what `createStores` opened. */
  close(): Promise<void>;
}

/** A creation whose id, owner and key nobody else has. */
export function contractTask(members: Partial<NewTask> = {}): NewTask {
  const taskId = uuidv7();
  return {
    taskId,
    ownerId: `owner-${taskId}`,
    appId: null,
    clientRequestId: taskId,
    taskType: 'contract',
    input: {},
    metadata: {},
    requestHash: 'hash',
    deadlineMs: null,
    traceparent: null,
    submissionClaimMs: 60_000,
    ...members,
  };
}

/** An ACCEPTED task. */
export async function createdTask({ registry }: ContractStores, members: Partial<NewTask> = {}): Promise<TaskRecord> {
  return (await registry.createTask(contractTask(members))).task;
}

/** A RUNNING task in its first attempt, with one event in its log. */
export async function runningTask(stores: ContractStores): Promise<{ taskId: string; attempt: number }> {
  const { taskId } = await createdTask(stores);
  const attempt = await stores.beginAttempt(taskId);
  await stores.events.append({ taskId, type: 'TASK_STARTED', payload: {}, attempt, appendNo: 1 });
  return { taskId, attempt };
}

/** A RUNNING task that waits for `approve` or `reject`. */
export async function waitingTask(
  stores: ContractStores,
  suspendIds: readonly string[] = ['q1'],
): Promise<{ taskId: string; attempt: number }> {
  const task = await runningTask(stores);
  const requests = suspendIds.map((suspendId) => ({
    suspendId,
    reasonCode: 'CHECK',
    allowedActions: ['approve', 'reject'],
  }));
  await stores.suspensions.openSuspensions({ ...task, requests });
  return task;
}

/** An answer to `q1`; the same `clientActionId` gives the same answer unless a member says otherwise. */
export function contractAnswer(taskId: string, members: Partial<ActionSubmission> = {}): ActionSubmission {
  return {
    taskId,
    clientActionId: 'answer-1',
    suspendId: 'q1',
    actionType: 'approve',
    payload: null,
    metadata: null,
    requestHash: 'approve',
    acceptedBy: 'ann',
    claimMs: 60_000,
    ...members,
  };
}

/** The `code` that the promise rejects with, or `'resolved'`. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
    return 'resolved';
  } catch (error) {
    return typeof error === 'object' && error !== null && 'code' in error ? error.code : error;
  }
}
