import type { TaskActionReceipt, TaskRecord, TaskSuspensionRecord } from '../stores/records.js';

/** The accepted answer that a task continues with. */
export interface ResumeAction {
  receipt: TaskActionReceipt;
  suspension: TaskSuspensionRecord;
}

/**
 * The port to whatever runs tasks; the class is its DI token. Contract, checked by `describeTaskExecutorContract`:
 *
 * - `submitTask` resolves once the executor durably has the task; it does not wait for the run. It may be called again
 *   for the same task after a fault and must be idempotent by `taskId`. A `TaskRejectedError` ends the task; any other
 *   error is retried with backoff.
 * - `requestCancellation` asks the run to stop; the executor answers by reporting `cancelled` (or an ending that came
 *   first). Idempotent; for a task that it does not know it resolves.
 * - `resumeTask` hands over an accepted answer. It may be repeated for the same `clientActionId` and must be idempotent.
 *   Without this method suspending is refused, unless the host gives a `TaskResumeService`.
 * - It reports by `TaskReporter` alone and never touches the stores.
 */
export abstract class TaskExecutor {
  abstract submitTask(task: TaskRecord): Promise<void>;
  abstract requestCancellation(task: TaskRecord): Promise<void>;
  resumeTask?(task: TaskRecord, action: ResumeAction): Promise<void>;
  /** `false` refuses a create with that type as a client's mistake (422). Omitted: every type is accepted. */
  acceptsTaskType?(taskType: string): boolean;
  /** Deadline of tasks of this type in ms from creation, for creates that give none. Omitted: no deadline. */
  deadlineMsOf?(taskType: string): number | undefined;
  /**
   * Called in every reconciliation round of every process that has the executor, for upkeep of its own; returns how many
   * tasks it brought forward. Omitted: nothing to do.
   */
  reconcile?(): Promise<number>;
  /** For readiness: rejects when the executor cannot take work. Omitted: always ready. */
  checkReady?(): Promise<void>;
}
