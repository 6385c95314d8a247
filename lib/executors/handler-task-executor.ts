import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { isTerminalStatus } from '@taskbridge/protocol';
import type { TaskRecord } from '../stores/records.js';
import { WakeUps } from '../streams/wake-ups.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { LeaseKeeper } from './lease-keeper.js';
import { LeaseRecovery } from './lease-recovery.js';
import { RunClaims } from './run-claims.js';
import { RunPool } from './run-pool.js';
import { RunPorts } from './run-ports.js';
import { TaskExecutor } from './task-executor.js';
import { type RegisteredHandler, TaskHandlerRegistry } from './task-handler.registry.js';

const RETURN_ROUNDS = 20;
const RETURN_PAUSE_MS = 100;

/**
 * The embedded default: runs `@TaskHandler` classes in this process, from a durable queue that all processes share. A
 * task is leased by one process at a time; what a dead process held is taken over by another.
 */
@Injectable()
export class HandlerTaskExecutor extends TaskExecutor implements OnApplicationBootstrap {
  private readonly granting = new Set<Promise<unknown>>();
  private unsubscribe: (() => void) | undefined;
  private draining: Promise<void> | undefined;

  constructor(
    private readonly handlers: TaskHandlerRegistry,
    private readonly ports: RunPorts,
    private readonly pool: RunPool,
    private readonly keeper: LeaseKeeper,
    private readonly claims: RunClaims,
    private readonly recovery: LeaseRecovery,
    private readonly wakeUps: WakeUps,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {
    super();
  }

  /** Due tasks are claimed from here on; tasks that are submitted earlier run all the same. */
  onApplicationBootstrap(): void {
    if (this.draining !== undefined) return;
    this.pool.listen((run, outcome) => {
      if (outcome === 'runnable') this.wakeUps.publishWork('runnable', run.taskId);
      this.claims.wake();
    });
    this.unsubscribe = this.wakeUps.subscribe({
      onWork: (kind, taskId) => {
        if (kind === 'runnable') this.claims.wake();
        if (kind === 'cancellation') this.recovery.look(taskId);
      },
    });
    this.claims.start();
  }

  override acceptsTaskType(taskType: string): boolean {
    return this.handlers.find(taskType) !== undefined;
  }

  override deadlineMsOf(taskType: string): number | undefined {
    return this.handlers.find(taskType)?.deadlineMs;
  }

  /** Starts the task at once when a slot is free, otherwise puts it into the queue; either is durable. */
  override async submitTask(task: TaskRecord): Promise<void> {
    const handler = this.handlers.find(task.taskType);
    if (handler === undefined) {
      throw new Error(`No handler runs tasks of type "${task.taskType}" in this process`);
    }
    if (this.draining === undefined && this.pool.free(handler) > 0) {
      await this.track(this.grant(handler, task.taskId));
      return;
    }
    const { taskId } = task;
    const queued = await this.ports.leases.enqueue({ taskId, deadlineMs: handler.deadlineMs });
    if (queued) this.wakeUps.publishWork('runnable', task.taskId);
  }

  /** The run that is under way takes the answer when it waits again; otherwise the task is put into the queue. */
  override async resumeTask(task: TaskRecord): Promise<void> {
    if (await this.ports.leases.enqueueResume(task.taskId)) this.wakeUps.publishWork('runnable', task.taskId);
  }

  /** Aborts the run wherever it is; ends the task at once when nothing runs it. */
  override async requestCancellation({ taskId }: TaskRecord): Promise<void> {
    const run = this.pool.find(taskId);
    if (run !== undefined) {
      run.abort('CANCELLED');
      return;
    }
    if (await this.cancelUnleased(taskId)) return;
    this.wakeUps.publishWork('cancellation', taskId);
  }

  override async checkReady(): Promise<void> {
    if (this.draining !== undefined) throw new Error('The executor is draining');
    await this.keeper.ensure();
  }

  /** Takes over what dead processes held, ends runs that ignored their cancellation, and claims due tasks. */
  override async reconcile(): Promise<number> {
    if (this.draining !== undefined) return 0;
    const recovered = await this.recovery.recover();
    this.claims.wake();
    return recovered;
  }

  /**
   * Takes no more work, tells the runs to stop, waits for them up to `shutdown.runTimeoutMs` and hands the remaining
   * leases back. Repeated calls join the first.
   */
  drain(): Promise<void> {
    this.draining ??= this.shutDown();
    return this.draining;
  }

  /** For a drain that takes too long: no lease is renewed any more, so that others take over what is left. */
  halt(): void {
    this.keeper.halt();
    for (const run of this.pool.all()) this.pool.giveUp(run);
  }

  private async shutDown(): Promise<void> {
    this.unsubscribe?.();
    await this.claims.stop();
    await Promise.allSettled(this.granting);
    this.pool.abortAll('SHUTDOWN');
    const { runTimeoutMs, timeoutMs } = this.settings.shutdown;
    await this.pool.settledWithin(Math.min(runTimeoutMs, timeoutMs / 2));
    await this.returnLeases();
    for (const run of this.pool.all()) this.pool.giveUp(run);
    await this.keeper.stop();
  }

  /** A row that somebody holds is waited for a little; its task would else wait for the lease to expire. */
  private async returnLeases(): Promise<void> {
    const { leases, processId } = this.ports;
    for (let round = 1; round <= RETURN_ROUNDS; round += 1) {
      for (const taskId of await leases.handBackAll(processId)) this.wakeUps.publishWork('runnable', taskId);
      if ((await leases.countHeld(processId)) === 0) return;
      await sleep(RETURN_PAUSE_MS);
    }
  }

  private async grant(handler: RegisteredHandler, taskId: string): Promise<void> {
    const { leases, processId } = this.ports;
    this.pool.reserve(handler.taskType);
    try {
      await this.keeper.ensure();
      const leased = await leases.grantFirst({ taskId, deadlineMs: handler.deadlineMs }, processId);
      if (leased === undefined) this.pool.release(handler.taskType);
      else this.pool.start(handler, leased);
    } catch (error) {
      this.pool.release(handler.taskType);
      throw error;
    }
  }

  /** False when a process holds the lease. */
  private cancelUnleased(taskId: string): Promise<boolean> {
    const { registry, events } = this.ports;
    return registry.transaction(
      async (manager) => {
        const task = await registry.getTask(taskId, { manager, lock: true });
        if (task === undefined || isTerminalStatus(task.status)) return true;
        if (task.leaseOwner !== null) return false;
        const reason = task.cancelReason ?? 'cancelled_by_user';
        await events.append({ taskId, type: 'TASK_CANCELLED', attempt: null, payload: { reason } }, { manager });
        return true;
      },
      { taskId },
    );
  }

  private async track(work: Promise<unknown>): Promise<void> {
    this.granting.add(work);
    try {
      await work;
    } finally {
      this.granting.delete(work);
    }
  }
}
