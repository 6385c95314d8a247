import type { TaskCreateCommand } from '../services/commands.js';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import type { TaskRecord } from '../stores/records.js';
import type { AuthContext } from './auth-context.js';

/** What a subject wants with a task. */
export type TaskAccess = 'read' | 'cancel' | 'act';

/** Host hook that decides who may create and who may reach which task. Refuses by throwing a `TaskBridgeError`. */
export abstract class OwnershipPolicy {
  /** Throws `TASK_OWNERSHIP_ERROR` (403) to refuse a creation. */
  abstract assertTaskCreate(auth: AuthContext, command: TaskCreateCommand): Promise<void> | void;
  /** Whatever it throws with `TASK_OWNERSHIP_ERROR` or `TASK_NOT_FOUND` reaches the caller as the 404 of an unknown task. */
  abstract assertTaskAccess(auth: AuthContext, task: TaskRecord, access: TaskAccess): Promise<void> | void;
}

/** The default: anybody who is authenticated may create; a task belongs to its creator only. */
export class OwnerOnlyPolicy extends OwnershipPolicy {
  assertTaskCreate(auth: AuthContext): void {
    if (auth.subject === '') throw new TaskBridgeError('TASK_OWNERSHIP_ERROR', 'An empty subject cannot own a task');
  }

  assertTaskAccess(auth: AuthContext, task: TaskRecord): void {
    if (task.ownerId !== auth.subject) throw taskNotFound(task.taskId);
  }
}
