import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleDestroy, Optional } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { HttpConnections } from './controllers/http-connections.js';
import { HandlerTaskExecutor } from './executors/handler-task-executor.js';
import { BackgroundWork } from './services/background-work.js';
import { TaskScheduler } from './services/task-scheduler.js';
import { AppendLane } from './stores/append-lane.js';
import { poolWork } from './stores/pool-work.js';
import { rowTurns } from './stores/row-turns.js';
import { StreamDrain } from './streams/stream-drain.js';
import { messageOf } from './taskbridge.errors.js';
import type { TaskBridgeSettings } from './taskbridge.options.js';
import { TASKBRIDGE_DATA_SOURCE, TASKBRIDGE_SETTINGS } from './taskbridge.tokens.js';

/**
 * Shares of `shutdown.timeoutMs`: when the drain stops waiting for the database and for handlers, and how long it may
 * take to notice; when requests lose their connection; when whatever still waits for the database is given up. The
 * rest is for the hooks after the HTTP server's end.
 */
const SHARE = { drain: 0.7, giveUp: 0.05, connections: 0.85, statements: 0.9 } as const;
const TICK_MS = 100;

/**
 * Lets go of everything in one order, so that the last reports of the runs are still flushed. Nest calls it on shutdown,
 * before the HTTP server waits for its connections; a host that drains earlier (a preStop hook, say) calls `drain`.
 * From Nest's call on, `shutdown.timeoutMs` is the limit, whatever the database and the clients do.
 */
@Injectable()
export class TaskBridgeLifecycle implements OnModuleDestroy, OnApplicationShutdown {
  private readonly logger = new Logger('TaskBridge');
  private readonly timeoutMs: number;
  private draining: Promise<void> | undefined;
  private watch: NodeJS.Timeout | undefined;
  private isShutDown = false;

  constructor(
    private readonly streams: StreamDrain,
    private readonly lane: AppendLane,
    private readonly background: BackgroundWork,
    private readonly scheduler: TaskScheduler,
    private readonly connections: HttpConnections,
    @Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
    @Optional() private readonly executor?: HandlerTaskExecutor,
  ) {
    this.timeoutMs = settings.shutdown.timeoutMs;
  }

  async onModuleDestroy(): Promise<void> {
    this.connections.closeIdle();
    this.watchTheClock(performance.now());
    await this.drain();
  }

  onApplicationShutdown(): void {
    this.isShutDown = true;
  }

  /**
   * Takes no more work and answers new streams and waiting polls 503; runs are told and their leases handed back, open
   * streams are closed with a retryable signal over `shutdown.drainWindowMs`, queued appends are flushed. What does not
   * end within its share of `shutdown.timeoutMs` is given up: leases that could not be handed back expire. Repeated
   * calls join the first. It never rejects: what fails is logged.
   */
  drain(): Promise<void> {
    this.draining ??= this.drainInTime();
    return this.draining;
  }

  private async drainInTime(): Promise<void> {
    this.connections.startDraining();
    const drained = this.drainOnce();
    if (await settlesWithin(drained, this.timeoutMs * SHARE.drain)) return;
    this.logger.warn('The shutdown takes too long: what could not be written or handed back is left to the others');
    this.executor?.halt();
    const repeated = setInterval(() => this.giveUpWaiting(), TICK_MS);
    this.giveUpWaiting();
    await settlesWithin(drained, this.timeoutMs * SHARE.giveUp);
    clearInterval(repeated);
  }

  private async drainOnce(): Promise<void> {
    const streams = this.step('close the streams', () => this.streams.drain());
    await Promise.all([
      this.step('stop the scheduler', () => this.scheduler.stop()),
      this.step('hand back the runs', async () => this.executor?.drain()),
    ]);
    await this.step('finish the hand-offs', () => this.background.settle());
    await this.step('flush the appends', () => this.lane.drain());
    await streams;
  }

  /** One part that fails must not keep the others from stopping. */
  private async step(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.error(`Could not ${what} at shutdown: ${messageOf(error)}`);
    }
  }

  /** Goes on after the drain, because the HTTP server and the pool wait without a limit. */
  private watchTheClock(startedAtMs: number): void {
    this.watch ??= setInterval(() => {
      const elapsed = (performance.now() - startedAtMs) / this.timeoutMs;
      this.connections.closeIdleOfClosedServer();
      if (elapsed > SHARE.connections) this.connections.closeAll();
      if (elapsed > SHARE.statements) this.giveUpWaiting();
      if (elapsed > 1 || (this.isShutDown && poolWork(this.dataSource).isIdle)) clearInterval(this.watch);
    }, TICK_MS).unref();
  }

  private giveUpWaiting(): void {
    rowTurns(this.dataSource).interrupt();
    this.lane.abandon();
    poolWork(this.dataSource).interrupt();
  }
}

/** False when the limit, in ms, has passed first. */
async function settlesWithin(work: Promise<unknown>, limitMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), limitMs);
  });
  const inTime = await Promise.race([work.then(() => true), limit]);
  clearTimeout(timer);
  return inTime;
}
