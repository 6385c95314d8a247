import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { isObservable, lastValueFrom } from 'rxjs';
import { StreamTicketService, type TicketGrant, ticketRefused } from '../services/stream-ticket.service.js';
import { TaskRegistry } from '../stores/task-registry.js';
import type { TaskRecord } from '../stores/records.js';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import type { AuthContext } from './auth-context.js';
import { authRequest, pathParams, rawRequest } from './guarded-request.js';
import { httpStatusOf, isAccessRefusal } from './refusals.js';
import { requestAuth, requestTask, setRequestAuth, setRequestTask } from './request-context.js';
import { TaskAuthGuard } from './task-auth.guard.js';
import { TaskOwnershipGuard } from './task-ownership.guard.js';
import { UpgradeContext } from './upgrade-context.js';

/**
 * Runs the two guards for every transport, so that a guard the host replaced closes HTTP, SSE and WebSocket alike. A
 * guard that answers `false` refuses: authentication with `AUTHENTICATION_ERROR`, ownership with `TASK_NOT_FOUND`. A
 * stream that presents a ticket has the identity that the ticket was issued to instead of asking the first guard.
 */
@Injectable()
export class TaskRequestAuthorizer {
  /** Of the upgrades that presented a ticket; nobody has asked for their credentials. */
  private readonly upgradeGrants = new WeakMap<IncomingMessage, TicketGrant>();

  constructor(
    private readonly authGuard: TaskAuthGuard,
    private readonly ownershipGuard: TaskOwnershipGuard,
    private readonly registry: TaskRegistry,
    private readonly tickets: StreamTicketService,
  ) {}

  /** A route of the library: the caller, then the task if the path names one. */
  async authorizeRoute(context: ExecutionContext): Promise<void> {
    const { taskId } = pathParams(context);
    const { transport, query } = authRequest(context);
    const ticket = transport === 'sse' ? query['ticket'] : undefined;
    if (ticket === undefined) await this.authenticate(context);
    else setRequestAuth(rawRequest(context), grantFor(await this.tickets.redeem(ticket), taskId ?? '').auth);
    if (taskId !== undefined) await this.reachTask(context, taskId);
  }

  /** The upgrade itself; whom it is from stays with the request for every `authorizeTask` after it. */
  async authorizeUpgrade(request: IncomingMessage): Promise<AuthContext> {
    const context = new UpgradeContext(request);
    const { ticket } = authRequest(context).query;
    if (ticket === undefined) return this.authenticate(context);
    const grant = await this.tickets.redeem(ticket);
    this.upgradeGrants.set(request, grant);
    return grant.auth;
  }

  /**
   * One subscribe on an authorised upgrade; resolves with the task as of the check. A ticket decides alone; the
   * upgrade's own is good for its task as long as the connection lives, and other tasks need the upgrade's credentials.
   */
  async authorizeTask(request: IncomingMessage, taskId: string, ticket?: string): Promise<TaskRecord> {
    const granted = this.upgradeGrants.get(request);
    if (ticket !== undefined) return this.reachGranted(request, grantFor(await this.tickets.redeem(ticket), taskId));
    if (granted && isFor(granted, taskId)) return this.reachGranted(request, granted);
    if (granted) await this.authenticate(new UpgradeContext(request));
    return this.reachTask(new UpgradeContext(request, { taskId }), taskId);
  }

  /** On a request of its own, because another identity may be at work on the same connection at the same time. */
  private reachGranted(request: IncomingMessage, { auth, taskId }: TicketGrant): Promise<TaskRecord> {
    const ticketed = Object.create(request) as IncomingMessage;
    setRequestAuth(ticketed, auth);
    return this.reachTask(new UpgradeContext(ticketed, { taskId }), taskId);
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

function grantFor(grant: TicketGrant, taskId: string): TicketGrant {
  if (!isFor(grant, taskId)) throw ticketRefused();
  return grant;
}

function isFor(grant: TicketGrant, taskId: string): boolean {
  return grant.taskId === taskId.toLowerCase();
}
