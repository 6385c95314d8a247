import { Inject, Injectable, Logger } from '@nestjs/common';
import type { TaskRecord } from '../stores/records.js';
import { TaskLeaseStore } from '../stores/task-lease.store.js';
import { messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_PROCESS_ID, TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { LeaseKeeper } from './lease-keeper.js';
import { RunPool } from './run-pool.js';
import { TaskHandlerRegistry } from './task-handler.registry.js';

/**
 * Takes due tasks from the durable queue whenever there may be some and a slot is free. Tasks whose pause is over are
 * noticed by the rounds of the scheduler; where the host has switched it off, by looking as often here.
 */
@Injectable()
export class RunClaims {
  private readonly logger = new Logger(RunClaims.name);
  private running: Promise<void> | undefined;
  private wanted = false;
  private stopped = true;
  private failing = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly leases: TaskLeaseStore,
    private readonly handlers: TaskHandlerRegistry,
    private readonly pool: RunPool,
    private readonly keeper: LeaseKeeper,
    @Inject(TASKBRIDGE_PROCESS_ID) private readonly processId: string,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {}

  start(): void {
    this.stopped = false;
    const { enabled, intervalMs } = this.settings.reconciliation;
    if (!enabled) this.timer = setInterval(() => this.wake(), intervalMs);
    this.wake();
  }

  /** There may be work or a slot. Cheap to call often: at most one claim is under way and one more is due. */
  wake(): void {
    this.wanted = true;
    this.running ??= this.drainQueue().finally(() => {
      this.running = undefined;
      if (this.wanted && !this.stopped && !this.failing) this.wake();
    });
  }

  /** Resolves when no claim is under way; none starts afterwards. */
  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running;
  }

  private async drainQueue(): Promise<void> {
    while (this.wanted && !this.stopped) {
      this.wanted = false;
      try {
        await this.claim();
        this.failing = false;
      } catch (error) {
        if (!this.failing) this.logger.error(`Due tasks could not be claimed; trying again: ${messageOf(error)}`);
        this.failing = true;
        return;
      }
    }
  }

  /** Slots are reserved before the query, so that a submission meanwhile does not take them too. */
  private async claim(): Promise<void> {
    const capacities = this.handlers
      .all()
      .map((handler) => ({ taskType: handler.taskType, count: this.pool.free(handler) }))
      .filter(({ count }) => count > 0);
    if (capacities.length === 0) return;
    const unused = new Map(capacities.map(({ taskType, count }) => [taskType, count]));
    for (const [taskType, count] of unused) this.pool.reserve(taskType, count);
    try {
      await this.keeper.ensure();
      const tasks = await this.leases.claim(this.processId, capacities);
      for (const task of tasks) this.startRun(task, unused);
    } finally {
      for (const [taskType, count] of unused) this.pool.release(taskType, count);
    }
  }

  private startRun(task: TaskRecord, unused: Map<string, number>): void {
    const handler = this.handlers.find(task.taskType);
    if (handler === undefined) return;
    unused.set(task.taskType, (unused.get(task.taskType) ?? 0) - 1);
    this.pool.start(handler, task);
  }
}
