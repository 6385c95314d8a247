import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { isObservable, lastValueFrom } from 'rxjs';
import { TaskRegistry } from '../stores/task-registry.js';
import type { TaskRecord } from '../stores/records.js';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import type { AuthContext } from './auth-context.js';
import { pathParams, rawRequest } from './guarded-request.js';
import { httpStatusOf, isAccessRefusal } from './refusals.js';
import { requestAuth, requestTask, setRequestTask } from './request-context.js';
import { TaskAuthGuard } from './task-auth.guard.js';
import { TaskOwnershipGuard } from './task-ownership.guard.js';
import { UpgradeContext } from './upgrade-context.js';

/**
 * Runs the two guards for every transport, so that a guard the host replaced closes HTTP, SSE and WebSocket alike. A
 * guard that answers `false` refuses: authentication with `AUTHENTICATION_ERROR`, ownership with `TASK_NOT_FOUND`.
 */
@Injectable()
export class TaskRequestAuthorizer {
  constructor(
    private readonly authGuard: TaskAuthGuard,
    private readonly ownershipGuard: TaskOwnershipGuard,
    private readonly registry: TaskRegistry,
  ) {}

  /** A route of the library: the caller, then the task if the path names one. */
  async authorizeRoute(context: ExecutionContext): Promise<void> {
    await this.authenticate(context);
    const { taskId } = pathParams(context);
    if (taskId !== undefined) await this.reachTask(context, taskId);
  }

  /** The upgrade itself; the identity stays with the request for every `authorizeTask` after it. */
  async authorizeUpgrade(request: IncomingMessage): Promise<AuthContext> {
    return this.authenticate(new UpgradeContext(request));
  }

  /** One subscribe on an authorised upgrade; resolves with the task as of the check. */
  async authorizeTask(request: IncomingMessage, taskId: string): Promise<TaskRecord> {
    return this.reachTask(new UpgradeContext(request, { taskId }), taskId);
  }

  private async authenticate(context: ExecutionContext): Promise<AuthContext> {
    const allowed = await this.ask(this.authGuard, context, (error) => httpStatusOf(error) === 401);
    if (!allowed) throw new TaskBridgeError('AUTHENTICATION_ERROR', 'Authentication is required');
    return requestAuth(rawRequest(context));
  }

  private async reachTask(context: ExecutionContext, taskId: string): Promise<TaskRecord> {
    if (!(await this.ask(this.ownershipGuard, context, isAccessRefusal))) throw taskNotFound(taskId);
    const raw = rawRequest(context);
    const checked = requestTask(raw);
    // A replaced guard may not have loaded the task, and one socket may subscribe to two tasks at the same time.
    const task = checked?.taskId === taskId ? checked : await this.registry.getTask(taskId);
    if (!task) throw taskNotFound(taskId);
    setRequestTask(raw, task);
    return task;
  }

  private async ask(
    guard: CanActivate,
    context: ExecutionContext,
    refuses: (error: unknown) => boolean,
  ): Promise<boolean> {
    try {
      const answer = guard.canActivate(context);
      return await (isObservable(answer) ? lastValueFrom(answer) : answer);
    } catch (error) {
      if (!refuses(error)) throw error;
      return false;
    }
  }
}
