import type { TaskStatus } from '@taskbridge/protocol';
import type { EntityManager } from 'typeorm';
import type { StoreOptions } from './event.store.js';
import type { JsonObject, TaskRecord } from './records.js';

export interface NewTask {
  /** A UUIDv7. */
  taskId: string;
  ownerId: string;
  appId: string | null;
  clientRequestId: string;
  taskType: string;
  input: JsonObject;
  metadata: JsonObject;
  /** SHA-256 over type, canonical input and attachments; decides between a repeat and a conflict. */
  requestHash: string;
  /** Counted from creation on the database's clock; the task fails with `DEADLINE_EXCEEDED` past it. */
  deadlineMs: number | null;
  traceparent: string | null;
  /** How long the creator holds the submission before others may claim it, in ms; 0 leaves it to others at once. */
  submissionClaimMs: number;
}

export interface TaskCreation {
  task: TaskRecord;
  /** False when (owner, clientRequestId) existed: `task` is then the existing one. */
  created: boolean;
  requestHash: string;
}

export interface TaskListQuery {
  ownerId: string;
  status?: TaskStatus | undefined;
  taskType?: string | undefined;
  /** True: only tasks with an open suspension; false: only tasks without one. */
  waiting?: boolean | undefined;
  /** 1–200. */
  limit: number;
  /** Task id of the last item of the previous page. */
  before?: string | undefined;
}

export interface TaskListRow {
  task: TaskRecord;
  waiting: boolean;
}

export interface CancellationRequest {
  reason: string;
  /** How long the requester holds the hand-off before others may claim it, in ms. */
  claimMs: number;
}

/** The task whose row a transaction is going to lock, and for how long it may wait for it. */
export interface TaskRowWait {
  taskId: string;
  /** Where it is going to be created: then who else creates this one is waited for, too. */
  newTask?: NewTask | undefined;
  /** `Infinity` waits until the process stops. */
  patienceMs?: number | undefined;
}

/** Which hand-off of a task row: its submission to the executor, or its cancellation. */
export type TaskHandoff = 'submission' | 'cancellation';

/**
 * The task rows. It never changes a status: only an appended event does. Contract:
 *
 * - `createTask` is decided by the unique (owner, clientRequestId): of concurrent calls exactly one has `created: true`,
 *   all return the same task. It never aborts a caller's transaction. Row and pending submission are one write.
 * - `requestCancellation` stores the request and its pending hand-off in one write; the first reason stays. `false`
 *   when the task has ended.
 * - `claimHandoffs` takes due hand-offs with `for update skip locked`, counts the attempt and hides them for `claimMs`,
 *   so that no two instances get one of them at the same time.
 * - All rows are read from the primary.
 */
export abstract class TaskRegistry {
  /**
   * Runs `work` in one READ COMMITTED transaction on one connection. With `taskId` it is work that locks this task's row:
   * it may be called again after it was rolled back, and is refused with `SERVICE_UNAVAILABLE` when the row stays held
   * for `patienceMs`, 5 000 unless told.
   */
  abstract transaction<T>(work: (manager: EntityManager) => Promise<T>, row?: TaskRowWait): Promise<T>;
  /** Runs `work` in one read-only REPEATABLE READ transaction: everything it reads is of one instant. */
  abstract snapshot<T>(work: (manager: EntityManager) => Promise<T>): Promise<T>;
  abstract createTask(task: NewTask, options?: StoreOptions): Promise<TaskCreation>;
  /** `undefined` for an unknown or malformed id. `lock` takes the row's lock and needs a manager. */
  abstract getTask(taskId: string, options?: StoreOptions & { lock?: boolean }): Promise<TaskRecord | undefined>;
  abstract findByClientRequestId(
    ownerId: string,
    clientRequestId: string,
    options?: StoreOptions,
  ): Promise<TaskCreation | undefined>;
  abstract requestCancellation(taskId: string, request: CancellationRequest, options?: StoreOptions): Promise<boolean>;
  /** Newest first. */
  abstract list(query: TaskListQuery): Promise<TaskListRow[]>;
  abstract claimHandoffs(kind: TaskHandoff, limit: number, claimMs: number): Promise<TaskRecord[]>;
  /** No effect unless the hand-off is pending. */
  abstract markHandoffDelivered(taskId: string, kind: TaskHandoff, options?: StoreOptions): Promise<void>;
  /** Keeps the hand-off pending, due again in `retryInMs` on the database's clock. */
  abstract markHandoffFailed(taskId: string, kind: TaskHandoff, error: string, retryInMs: number): Promise<void>;
  /** Ids of open tasks whose deadline has passed, at most `limit`, without `except` and rows that somebody holds. */
  abstract listOverdue(limit: number, except?: readonly string[]): Promise<string[]>;
}
