import { Inject, Injectable, Logger } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { TaskByTask } from '../services/task-by-task.js';
import { type AppendCommand, EventStore } from '../stores/event.store.js';
import type { TaskRecord } from '../stores/records.js';
import { type ReclaimedTask, TaskLeaseStore } from '../stores/task-lease.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { WakeUps } from '../streams/wake-ups.js';
import { isTaskBridgeError, messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { LeaseKeeper } from './lease-keeper.js';
import { RunPool } from './run-pool.js';
import { TaskHandlerRegistry } from './task-handler.registry.js';

/** Transactions at once for tasks of dead processes; the pool is everybody's. */
const ENDED_AT_ONCE = 2;

/** Brings tasks forward whose process died or whose handler does not react; each by itself, none waits for another. */
@Injectable()
export class LeaseRecovery {
  private readonly logger = new Logger(LeaseRecovery.name);
  private readonly lost: TaskByTask;
  private readonly cancelled: TaskByTask;

  constructor(
    private readonly handlers: TaskHandlerRegistry,
    private readonly leases: TaskLeaseStore,
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly pool: RunPool,
    private readonly keeper: LeaseKeeper,
    private readonly wakeUps: WakeUps,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {
    const backoff = settings.reconciliation;
    this.lost = new TaskByTask({ done: 'taken from a process that died', backoff, width: ENDED_AT_ONCE });
    this.cancelled = new TaskByTask({ done: 'ended after its cancellation', backoff, width: Infinity });
  }

  /** One round; the number of tasks that were taken over or ended. A failure of one part does not stop the others. */
  async recover(): Promise<number> {
    const parts = [
      () => this.reclaim(),
      () => this.endIgnoredCancellations(),
      () => this.leases.removeDeadProcesses().then(() => 0),
    ];
    const failures: unknown[] = [];
    let count = 0;
    for (const part of parts) {
      await part().then(
        (taken) => (count += taken),
        (error: unknown) => failures.push(error),
      );
    }
    this.giveUpIgnoringRuns();
    if (failures.length > 0) throw failures[0];
    return count;
  }

  /** Somebody says that a task's lease has changed: if it runs here, its run is told at once. */
  look(taskId: string): void {
    if (this.pool.find(taskId) === undefined) return;
    this.keeper.beat().catch((error: unknown) => {
      this.logger.warn(`Task ${taskId} could not be looked at; the next heartbeat will: ${messageOf(error)}`);
    });
  }

  private async reclaim(): Promise<number> {
    const policies = this.handlers.all();
    if (policies.length === 0) return 0;
    const { batchSize: limit } = this.settings.reconciliation;
    // What runs here is alive: after an outage this may come before the heartbeat that says so.
    const except = [...this.lost.leftOut, ...this.pool.all().map(({ taskId }) => taskId)];
    const taskIds = await this.leases.listLost(policies, { limit, except });
    if (taskIds.length === 0) return this.lost.run([], () => Promise.resolve(false));
    const requeued = await this.leases.requeueLost(policies, taskIds);
    for (const reclaimed of requeued) this.tell(reclaimed);
    const queued = new Set(requeued.map(({ task }) => task.taskId));
    const others = taskIds.filter((taskId) => !queued.has(taskId));
    return requeued.length + (await this.lost.run(others, (taskId) => this.reclaimOne(taskId)));
  }

  /** Takes and ends the task in one transaction, which does not wait for anybody's. */
  private async reclaimOne(taskId: string): Promise<boolean> {
    const work = async (manager: EntityManager): Promise<ReclaimedTask | undefined> => {
      const reclaimed = await this.leases.reclaim(this.handlers.all(), taskId, manager);
      const ending = reclaimed && endingOf(reclaimed);
      if (ending !== undefined) await this.events.append(ending, { manager });
      return reclaimed;
    };
    const reclaimed = await this.registry.transaction(work, { taskId, patienceMs: 0 });
    if (reclaimed !== undefined) this.tell(reclaimed);
    return reclaimed !== undefined;
  }

  private tell({ task, verdict }: ReclaimedTask): void {
    this.logger.warn(`Task ${task.taskId} was taken from a process that died: ${verdict}`);
    if (verdict === 'retry') this.wakeUps.publishWork('runnable', task.taskId);
  }

  private async endIgnoredCancellations(): Promise<number> {
    const batch = { limit: this.settings.reconciliation.batchSize, except: this.cancelled.leftOut };
    const ignored = await this.leases.listCancelOverdue(this.settings.execution.cancelGraceMs, batch);
    const tasks = new Map(ignored.map((task) => [task.taskId, task]));
    return this.cancelled.run([...tasks.keys()], (taskId) => this.endCancelled(tasks.get(taskId)));
  }

  private async endCancelled(task: TaskRecord | undefined): Promise<boolean> {
    if (task === undefined) return false;
    try {
      await this.events.append(cancellation(task));
    } catch (error) {
      if (isTaskBridgeError(error) && error.code === 'TASK_ALREADY_TERMINAL') return false;
      throw error;
    }
    this.wakeUps.publishWork('cancellation', task.taskId);
    return true;
  }

  /** A handler that does not return keeps its slot for the grace period only. */
  private giveUpIgnoringRuns(): void {
    for (const run of this.pool.all()) {
      if (run.abortedForMs > this.settings.execution.cancelGraceMs && !run.isConcluding) this.pool.giveUp(run);
    }
  }
}

function endingOf({ task, verdict }: ReclaimedTask): AppendCommand | undefined {
  if (verdict === 'cancel') return cancellation(task);
  if (verdict === 'retry') return undefined;
  const message = `The process that ran the task died (run ${task.retries})`;
  const payload = { code: 'EXECUTION_INTERRUPTED', message, retryable: true };
  return { taskId: task.taskId, type: 'TASK_FAILED', attempt: null, payload };
}

function cancellation(task: TaskRecord): AppendCommand<'TASK_CANCELLED'> {
  const reason = task.cancelReason ?? 'cancelled_by_user';
  return { taskId: task.taskId, type: 'TASK_CANCELLED', attempt: null, payload: { reason } };
}
