import { Inject, Injectable } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { type RawRow, rawRows } from './raw-query.js';
import type { TaskRecord } from './records.js';
import { rowTurns } from './row-turns.js';
import { tableNames } from './table-names.js';
import { type LeaseSql, leaseSql, type ReclaimVerdict } from './task-lease.sql.js';
import { AFTER_TASK_COLUMNS, TASK_COLUMNS, taskOf } from './task-row.js';

export interface RunnerProcess {
  processId: string;
  host: string;
  pid: number;
}

/** What the database knows of a task that a process holds or believes to hold. */
export interface LeaseView {
  taskId: string;
  attempt: number;
  /** Its lease is the process's. */
  held: boolean;
  cancelRequested: boolean;
  /** Its deadline has passed on the database's clock. */
  overdue: boolean;
}

/** A task that the executor gets for the first time. */
export interface NewWork {
  taskId: string;
  /** Deadline of its type in ms from its creation, for a task that was created without one. */
  deadlineMs?: number | undefined;
}

/** Which lease of which run. */
export interface LeaseKey {
  taskId: string;
  attempt: number;
  processId: string;
}

/** What happens to interrupted runs of one task type. */
export interface ReclaimPolicy {
  taskType: string;
  onInterrupted: 'retry' | 'fail';
  maxAttempts: number;
  backoffMs: number;
}

export interface ReclaimedTask {
  task: TaskRecord;
  /** `retry`: it is queued again. The caller must append the ending of the others in the same transaction. */
  verdict: ReclaimVerdict;
}

/** A batch of what is listed: at most so many, without these tasks. */
export interface LeaseBatch {
  limit: number;
  except: readonly string[];
}

/**
 * Leases of `HandlerTaskExecutor` and attempts of every executor. A lease grant opens the next attempt, and so does taking
 * a lease away: whatever the run before still reports is refused. A lease lives as long as its process's row, on the
 * database's clock.
 */
@Injectable()
export class TaskLeaseStore {
  private readonly sql: LeaseSql;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.sql = leaseSql(tableNames(dataSource));
  }

  /** The number of the new attempt. Rejects with `TASK_NOT_FOUND` and `TASK_ALREADY_TERMINAL`. */
  async beginAttempt(taskId: string): Promise<number> {
    if (!isUuid(taskId)) throw taskNotFound(taskId);
    const [row] = await this.onRow(taskId, this.sql.beginAttempt, [taskId]);
    if (row !== undefined) return Number(row[0]);
    const { tasks } = tableNames(this.dataSource);
    const known = await rawRows(this.dataSource, `select ${TASK_COLUMNS} from ${tasks} t where t.task_id = $1`, [
      taskId,
    ]);
    if (known.length === 0) throw taskNotFound(taskId);
    throw new TaskBridgeError('TASK_ALREADY_TERMINAL', `Task ${taskId} has ended: no attempt can begin`);
  }

  /** Leases a task that has just been created; `undefined` when anybody has or had it, or it was cancelled. */
  async grantFirst({ taskId, deadlineMs }: NewWork, processId: string): Promise<TaskRecord | undefined> {
    const [row] = await this.onRow(taskId, this.sql.grantFirst, [taskId, deadlineMs ?? null, processId]);
    return row === undefined ? undefined : taskOf(row);
  }

  /** Queues a task that has just been created; `false` where `grantFirst` finds nothing. */
  async enqueue({ taskId, deadlineMs }: NewWork): Promise<boolean> {
    return (await this.onRow(taskId, this.sql.enqueue, [taskId, deadlineMs ?? null])).length > 0;
  }

  /** Queues a task whose run waits for an answer; `false` when it is queued, runs or has ended. */
  async enqueueResume(taskId: string): Promise<boolean> {
    return (await this.onRow(taskId, this.sql.enqueueResume, [taskId])).length > 0;
  }

  /** Leases due tasks, the longest due first, at most `count` per type. */
  async claim(processId: string, slots: readonly { taskType: string; count: number }[]): Promise<TaskRecord[]> {
    const json = JSON.stringify(slots.map(({ taskType, count }) => ({ task_type: taskType, count })));
    return (await rawRows(this.dataSource, this.sql.claim, [processId, json])).map(taskOf);
  }

  /** Takes the row's lock; `undefined` when the lease is not this run's any more. */
  async lockHeld(lease: LeaseKey, manager: EntityManager): Promise<TaskRecord | undefined> {
    const [row] = await rawRows(manager, this.sql.lockHeld, [lease.taskId, lease.processId, lease.attempt]);
    return row === undefined ? undefined : taskOf(row);
  }

  /** Ends a run that waits, under the lock of `lockHeld`. */
  async suspend(taskId: string, next: { runAgain: boolean }, manager: EntityManager): Promise<void> {
    await rawRows(manager, this.sql.suspend, [taskId, next.runAgain]);
  }

  /**
   * Queues the task again, due in `delayMs`, at no cost in retries; `false` when the lease was not this run's. Waits for
   * a row that somebody holds until the process stops.
   */
  async handBack(lease: LeaseKey, delayMs = 0): Promise<boolean> {
    const { taskId, processId, attempt } = lease;
    const values = [taskId, processId, attempt, delayMs];
    return (await this.onRow(taskId, this.sql.handBack, values, Infinity)).length > 0;
  }

  /** Those of the leases, due at once; rows that somebody holds are left out, and nothing is waited for. */
  async handBackFree(processId: string, leases: readonly Pick<LeaseView, 'taskId' | 'attempt'>[]): Promise<void> {
    const [taskIds, attempts] = [leases.map(({ taskId }) => taskId), leases.map(({ attempt }) => attempt)];
    await rawRows(this.dataSource, this.sql.handBackFree, [processId, taskIds, attempts]);
  }

  /** All of them, due at once; rows that somebody holds are left out, see `countHeld`. */
  async handBackAll(processId: string): Promise<string[]> {
    const rows = await rawRows(this.dataSource, this.sql.handBackAll, [processId]);
    return rows.map(([taskId]) => String(taskId));
  }

  async countHeld(processId: string): Promise<number> {
    const [row] = await rawRows(this.dataSource, this.sql.countHeld, [processId]);
    return Number(row?.[0]);
  }

  /** Keeps the process and its leases alive for another `leaseMs`; returns the leases, and the tasks of `taskIds`. */
  async heartbeat(process: RunnerProcess, leaseMs: number, taskIds: readonly string[]): Promise<LeaseView[]> {
    const { processId, host, pid } = process;
    const rows = await rawRows(this.dataSource, this.sql.heartbeat, [processId, host, pid, leaseMs, taskIds]);
    return rows.map(([taskId, attempt, held, cancelRequested, overdue]) => ({
      taskId: String(taskId),
      attempt: Number(attempt),
      held: held === true,
      cancelRequested: cancelRequested === true,
      overdue: overdue === true,
    }));
  }

  /** What it still holds is up for `reclaim`. */
  async removeProcess(processId: string): Promise<void> {
    await rawRows(this.dataSource, this.sql.removeProcess, [processId]);
  }

  async removeDeadProcesses(): Promise<void> {
    await rawRows(this.dataSource, this.sql.removeDeadProcesses, []);
  }

  /** Tasks of these types whose process is dead. Rows that somebody holds are left out. */
  async listLost(policies: readonly ReclaimPolicy[], { limit, except }: LeaseBatch): Promise<string[]> {
    const rows = await rawRows(this.dataSource, this.sql.listLost, [policyJson(policies), limit, except]);
    return rows.map(([taskId]) => String(taskId));
  }

  /** Queues those of the lost tasks again that may be retried; counts the failure. */
  async requeueLost(policies: readonly ReclaimPolicy[], taskIds: readonly string[]): Promise<ReclaimedTask[]> {
    return reclaimedOf(await rawRows(this.dataSource, this.sql.reclaim, [policyJson(policies), taskIds, true]));
  }

  /** Takes a task from a process that is dead, whatever is to follow; `undefined` when it is not lost, or held. */
  async reclaim(
    policies: readonly ReclaimPolicy[],
    taskId: string,
    manager: EntityManager,
  ): Promise<ReclaimedTask | undefined> {
    return reclaimedOf(await rawRows(manager, this.sql.reclaim, [policyJson(policies), [taskId], false]))[0];
  }

  /**
   * Leased tasks whose cancellation was requested longer than `graceMs` ago, the oldest first. Rows that somebody holds
   * are left out.
   */
  async listCancelOverdue(graceMs: number, { limit, except }: LeaseBatch): Promise<TaskRecord[]> {
    return (await rawRows(this.dataSource, this.sql.cancelOverdue, [graceMs, limit, except])).map(taskOf);
  }

  /** Waits for a row that somebody holds without keeping a connection for it. */
  private onRow(taskId: string, sql: string, values: unknown[], patienceMs?: number): Promise<RawRow[]> {
    return rowTurns(this.dataSource).take(taskId, () => rawRows(this.dataSource, sql, values), patienceMs);
  }
}

function policyJson(policies: readonly ReclaimPolicy[]): string {
  return JSON.stringify(
    policies.map(({ taskType, onInterrupted, maxAttempts, backoffMs }) => ({
      task_type: taskType,
      on_interrupted: onInterrupted,
      max_attempts: maxAttempts,
      backoff_ms: backoffMs,
    })),
  );
}

function reclaimedOf(rows: readonly RawRow[]): ReclaimedTask[] {
  return rows.map((row) => ({ task: taskOf(row), verdict: row[AFTER_TASK_COLUMNS] as ReclaimVerdict }));
}
