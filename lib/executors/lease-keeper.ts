import { Inject, Injectable, Logger } from '@nestjs/common';
import { callWithTimeout } from '../services/call-with-timeout.js';
import { type LeaseView, TaskLeaseStore } from '../stores/task-lease.store.js';
import { messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_PROCESS_ID, TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { RunPool } from './run-pool.js';
import type { AbortReason } from './task-handler.js';
import type { TaskRun } from './task-run.js';

/**
 * Keeps this process's leases alive by one row per process, and compares them with the runs: a run whose lease is gone
 * is told so, and a lease without a run is handed back.
 */
@Injectable()
export class LeaseKeeper {
  private readonly logger = new Logger(LeaseKeeper.name);
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> | undefined;
  private stopped = false;
  private failing = false;
  private lastBeatAt: number | undefined;
  /** Leases that had no run at the last beat, as `taskId:attempt`. */
  private orphans: ReadonlySet<string> = new Set();
  private returning: Promise<void> | undefined;

  constructor(
    private readonly leases: TaskLeaseStore,
    private readonly pool: RunPool,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
    @Inject(TASKBRIDGE_PROCESS_ID) private readonly processId: string,
  ) {}

  /** False when the last renewal is longer ago than the lease lasts: others may have taken the tasks. */
  get isAlive(): boolean {
    return this.lastBeatAt !== undefined && performance.now() - this.lastBeatAt < this.settings.execution.leaseMs;
  }

  /**
   * Resolves once this process is known to the database: leases may be taken from then on. Rejects when the database
   * cannot be reached, and after `stop`.
   */
  async ensure(): Promise<void> {
    if (this.stopped) throw new Error('This process has handed its leases back and takes no more');
    if (!this.isAlive) await this.beat();
  }

  /** Renews now and looks at every lease. Calls join the beat under way only if it has not read yet. */
  async beat(): Promise<void> {
    if (this.stopped) return;
    await this.beating?.catch(() => undefined);
    this.beating ??= this.renew().finally(() => {
      this.beating = undefined;
      this.schedule();
    });
    await this.beating;
  }

  /** Renews no more: what could not be handed back expires by itself. */
  halt(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  /** Removes this process; its leases must have been handed back before. */
  async stop(): Promise<void> {
    this.halt();
    await this.beating?.catch(() => undefined);
    await this.returning;
    if (this.lastBeatAt !== undefined) await this.leases.removeProcess(this.processId);
  }

  private schedule(): void {
    clearTimeout(this.timer);
    if (this.stopped) return;
    this.timer = setTimeout(() => void this.beatQuietly(), this.settings.execution.heartbeatMs);
  }

  private async beatQuietly(): Promise<void> {
    try {
      await this.beat();
      this.failing = false;
    } catch (error) {
      if (!this.failing) this.logger.error(`The leases could not be renewed; trying again: ${messageOf(error)}`);
      this.failing = true;
    }
  }

  private async renew(): Promise<void> {
    const runs = this.pool.all();
    const startedAt = performance.now();
    const { leaseMs } = this.settings.execution;
    const host = this.settings.instanceName;
    const self = { processId: this.processId, host, pid: process.pid };
    const taskIds = runs.map((run) => run.taskId);
    // On a connection that has died without a word the answer never comes: the next beat takes another one.
    const beat = () => this.leases.heartbeat(self, leaseMs, taskIds);
    const tasks = await callWithTimeout(beat, leaseMs, 'The renewal of the leases');
    this.lastBeatAt = startedAt;
    this.compare(runs, tasks);
    this.returnOrphans(tasks.filter(({ held }) => held));
  }

  private compare(runs: readonly TaskRun[], tasks: readonly LeaseView[]): void {
    const views = new Map(tasks.map((task) => [task.taskId, task]));
    for (const run of runs) {
      const reason = run.isConcluding ? undefined : reasonToStop(run, views.get(run.taskId));
      if (reason !== undefined) run.abort(reason);
    }
  }

  /** Only at the second sight: at the first, its grant may be on its way to the pool. Nothing waits for it. */
  private returnOrphans(held: readonly LeaseView[]): void {
    const running = new Set(this.pool.all().map((run) => keyOf(run.taskId, run.attemptNo)));
    const without = held.filter((lease) => !running.has(keyOf(lease.taskId, lease.attempt)));
    const seenBefore = without.filter((lease) => this.orphans.has(keyOf(lease.taskId, lease.attempt)));
    this.orphans = new Set(without.map((lease) => keyOf(lease.taskId, lease.attempt)));
    if (seenBefore.length > 0) this.returning ??= this.handBack(seenBefore).finally(() => (this.returning = undefined));
  }

  /** Never rejects: what could not be handed back is seen at the next beat. */
  private async handBack(leases: readonly LeaseView[]): Promise<void> {
    const handBack = () => this.leases.handBackFree(this.processId, leases);
    try {
      await callWithTimeout(handBack, this.settings.execution.leaseMs, 'The return of leases without a run');
    } catch (error) {
      this.logger.warn(`Leases without a run could not be handed back; trying again: ${messageOf(error)}`);
    }
  }
}

function keyOf(taskId: string, attempt: number): string {
  return `${taskId}:${attempt}`;
}

function reasonToStop(run: TaskRun, task: LeaseView | undefined): AbortReason | undefined {
  if (task?.cancelRequested === true) return 'CANCELLED';
  if (task?.overdue === true) return 'DEADLINE';
  return task?.held === true && task.attempt === run.attemptNo ? undefined : 'SUPERSEDED';
}
