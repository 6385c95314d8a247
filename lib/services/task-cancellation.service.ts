import { Injectable, Logger } from '@nestjs/common';
import { isTerminalStatus } from '@taskbridge/protocol';
import type { EntityManager } from 'typeorm';
import { EventStore } from '../stores/event.store.js';
import { HandoffState, type TaskRecord } from '../stores/records.js';
import { SuspensionStore } from '../stores/suspension.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { WakeUps } from '../streams/wake-ups.js';
import { taskNotFound } from '../taskbridge.errors.js';
import { BackgroundWork } from './background-work.js';
import { checkReason } from './command-checks.js';
import type { CancelTaskCommand, CancelTaskResult } from './commands.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';

interface CancellationDecision {
  /** `undefined` when the task had ended before. */
  requested?: { task: TaskRecord; isNew: boolean };
}

/** Stops tasks: the request is durable before it is answered, and reaches the executor however often that takes. */
@Injectable()
export class TaskCancellationService {
  private readonly logger = new Logger(TaskCancellationService.name);

  constructor(
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly suspensions: SuspensionStore,
    private readonly dispatcher: HandoffDispatcher,
    private readonly background: BackgroundWork,
    private readonly wakeUps: WakeUps,
  ) {}

  /**
   * Idempotent; the first reason stays. A task that waits for an answer, or that its executor does not have yet, ends
   * CANCELLED in this call's transaction; a running one when its executor stops it. A completion that is logged first
   * wins. Rejects with `TASK_NOT_FOUND`.
   */
  async cancelTask(command: CancelTaskCommand): Promise<CancelTaskResult> {
    const reason = command.reason ?? 'cancelled_by_user';
    checkReason(reason);
    const { taskId } = command;
    const { requested } = await this.registry.transaction((manager) => this.decide(taskId, reason, manager), {
      taskId,
    });
    if (requested?.isNew) this.tellExecutor(requested.task);
    return { taskId, status: requested ? 'CANCELLATION_REQUESTED' : 'ALREADY_TERMINAL' };
  }

  private async decide(taskId: string, reason: string, manager: EntityManager): Promise<CancellationDecision> {
    const task = await this.registry.getTask(taskId, { manager, lock: true });
    if (task === undefined) throw taskNotFound(taskId);
    if (isTerminalStatus(task.status)) return {};
    await this.registry.requestCancellation(taskId, { reason, claimMs: this.dispatcher.claimMs }, { manager });
    if (await this.isIdle(task, manager)) {
      await this.events.append(
        { taskId, type: 'TASK_CANCELLED', payload: { reason: task.cancelReason ?? reason }, attempt: null },
        { manager },
      );
    }
    const isNew = task.cancelRequestedAt === null;
    return { requested: { task: isNew ? { ...task, cancelReason: reason } : task, isNew } };
  }

  /** Nothing runs that could react: the submission is still pending, or the task waits for a person. */
  private async isIdle(task: TaskRecord, manager: EntityManager): Promise<boolean> {
    if (task.leaseOwner !== null) return false;
    if (task.submission.state === HandoffState.pending) return true;
    return (await this.suspensions.listOpen(task.taskId, { manager })).length > 0;
  }

  /** Also for a task that ended right here: a submission may be on its way, and a foreign engine may wait. */
  private tellExecutor(task: TaskRecord): void {
    this.logger.debug({ message: 'Cancellation requested', taskId: task.taskId });
    if (this.dispatcher.enabled) this.background.track(this.dispatcher.cancel(task));
    else this.wakeUps.publishWork('cancellation', task.taskId);
  }
}
