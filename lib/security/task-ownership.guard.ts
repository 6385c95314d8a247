import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { isTaskId } from '@taskbridge/protocol';
import { TaskRegistry } from '../stores/task-registry.js';
import { taskNotFound } from '../taskbridge.errors.js';
import { pathParams, rawRequest } from './guarded-request.js';
import { OwnershipPolicy } from './ownership-policy.js';
import { isAccessRefusal } from './refusals.js';
import { requestAuth, setRequestTask } from './request-context.js';
import { taskRouteFacts } from './task-route.decorator.js';

/**
 * Lets a caller reach the task of `:taskId` when the `OwnershipPolicy` does; runs after `TaskAuthGuard`. An unknown, a
 * malformed and a foreign id reject alike with `TASK_NOT_FOUND`.
 */
@Injectable()
export class TaskOwnershipGuard implements CanActivate {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly policy: OwnershipPolicy,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const raw = rawRequest(context);
    const auth = requestAuth(raw);
    const taskId = pathParams(context)['taskId'] ?? '';
    const task = isTaskId(taskId) ? await this.registry.getTask(taskId) : undefined;
    if (!task) throw taskNotFound(taskId);
    try {
      await this.policy.assertTaskAccess(auth, task, taskRouteFacts(context).access);
    } catch (error) {
      throw isAccessRefusal(error) ? taskNotFound(taskId) : error;
    }
    setRequestTask(raw, task);
    return true;
  }
}
