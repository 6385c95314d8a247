import { Injectable, Logger, type OnModuleDestroy, Optional } from '@nestjs/common';
import { HandlerTaskExecutor } from './executors/handler-task-executor.js';
import { BackgroundWork } from './services/background-work.js';
import { TaskScheduler } from './services/task-scheduler.js';
import { AppendLane } from './stores/append-lane.js';
import { StreamDrain } from './streams/stream-drain.js';
import { messageOf } from './taskbridge.errors.js';

/**
 * Lets go of everything in one order, so that the last reports of the runs are still flushed. Nest calls it on shutdown,
 * before the HTTP server waits for its connections; a host that drains earlier (a preStop hook, say) calls `drain`.
 */
@Injectable()
export class TaskBridgeLifecycle implements OnModuleDestroy {
  private readonly logger = new Logger('TaskBridge');
  private draining: Promise<void> | undefined;

  constructor(
    private readonly streams: StreamDrain,
    private readonly lane: AppendLane,
    private readonly background: BackgroundWork,
    private readonly scheduler: TaskScheduler,
    @Optional() private readonly executor?: HandlerTaskExecutor,
  ) {}

  onModuleDestroy(): Promise<void> {
    return this.drain();
  }

  /**
   * Takes no more work and answers new streams and waiting polls 503; runs are told and their leases handed back, open
   * streams are closed with a retryable signal over `shutdown.drainWindowMs`, queued appends are flushed. Repeated calls
   * join the first. It never rejects: what fails is logged.
   */
  drain(): Promise<void> {
    this.draining ??= this.drainOnce();
    return this.draining;
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
}
