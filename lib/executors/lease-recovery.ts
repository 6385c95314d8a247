import { Inject, Injectable, Logger } from '@nestjs/common';
import type { TaskRecord } from '../stores/records.js';
import { type ReclaimedTask, TaskLeaseStore } from '../stores/task-lease.store.js';
import { type AppendCommand, EventStore } from '../stores/event.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { WakeUps } from '../streams/wake-ups.js';
import { isTaskBridgeError, messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { LeaseKeeper } from './lease-keeper.js';
import { RunPool } from './run-pool.js';
import { TaskHandlerRegistry } from './task-handler.registry.js';

/** Brings tasks forward whose process died or whose handler does not react. */
@Injectable()
export class LeaseRecovery {
  private readonly logger = new Logger(LeaseRecovery.name);

  constructor(
    private readonly handlers: TaskHandlerRegistry,
    private readonly leases: TaskLeaseStore,
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly pool: RunPool,
    private readonly keeper: LeaseKeeper,
    private readonly wakeUps: WakeUps,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {}

  /** One round; the number of tasks that were taken over or ended. */
  async recover(): Promise<number> {
    const reclaimed = await this.reclaim();
    const cancelled = await this.endIgnoredCancellations();
    await this.leases.removeDeadProcesses();
    this.giveUpIgnoringRuns();
    return reclaimed + cancelled;
  }

  /** Somebody says that a task's lease has changed: if it runs here, its run is told at once. */
  look(taskId: string): void {
    if (this.pool.find(taskId) === undefined) return;
    this.keeper.beat().catch((error: unknown) => {
      this.logger.warn(`Task ${taskId} could not be looked at; the next heartbeat will: ${messageOf(error)}`);
    });
  }

  private async reclaim(): Promise<number> {
    const { batchSize } = this.settings.reconciliation;
    const policies = this.handlers.all();
    if (policies.length === 0) return 0;
    const reclaimed = await this.registry.transaction(async (manager) => {
      const tasks = await this.leases.reclaim(policies, batchSize, manager);
      for (const task of tasks) await this.settle(task, (command) => this.events.append(command, { manager }));
      return tasks;
    });
    for (const { task, verdict } of reclaimed) {
      this.logger.warn(`Task ${task.taskId} was taken from a process that died: ${verdict}`);
      if (verdict === 'retry') this.wakeUps.publishWork('runnable', task.taskId);
    }
    return reclaimed.length;
  }

  private async settle(
    { task, verdict }: ReclaimedTask,
    append: (command: AppendCommand) => Promise<unknown>,
  ): Promise<void> {
    const { taskId } = task;
    if (verdict === 'cancel') await append(cancellation(task));
    if (verdict !== 'fail') return;
    const message = `The process that ran the task died (run ${task.retries})`;
    const payload = { code: 'EXECUTION_INTERRUPTED', message, retryable: true };
    await append({ taskId, type: 'TASK_FAILED', attempt: null, payload });
  }

  private async endIgnoredCancellations(): Promise<number> {
    const { cancelGraceMs } = this.settings.execution;
    const ignored = await this.leases.listCancelOverdue(cancelGraceMs, this.settings.reconciliation.batchSize);
    await Promise.all(ignored.map((task) => this.endCancelled(task)));
    return ignored.length;
  }

  private async endCancelled(task: TaskRecord): Promise<void> {
    try {
      await this.events.append(cancellation(task));
      this.wakeUps.publishWork('cancellation', task.taskId);
    } catch (error) {
      if (!isTaskBridgeError(error) || error.code !== 'TASK_ALREADY_TERMINAL') throw error;
    }
  }

  /** A handler that does not return keeps its slot for the grace period only. */
  private giveUpIgnoringRuns(): void {
    for (const run of this.pool.all()) {
      if (run.abortedForMs > this.settings.execution.cancelGraceMs && !run.isConcluding) this.pool.giveUp(run);
    }
  }
}

function cancellation(task: TaskRecord): AppendCommand<'TASK_CANCELLED'> {
  const reason = task.cancelReason ?? 'cancelled_by_user';
  return { taskId: task.taskId, type: 'TASK_CANCELLED', attempt: null, payload: { reason } };
}
