import type { ResumeAction } from '../executors/task-executor.js';
import type { TaskRecord } from '../stores/records.js';

/**
 * Host hook that hands an accepted answer to whatever runs the task; called after the accepting transaction, again after
 * a failure with backoff, so it must be idempotent by `clientActionId`. Resolving counts as delivered. The default
 * calls the executor's `resumeTask`.
 */
export abstract class TaskResumeService {
  abstract resumeTask(task: TaskRecord, action: ResumeAction): Promise<void>;
  /** `false` while there is nobody to resume a task: suspending is then refused. */
  abstract canResume(): boolean;
}
