import { Logger } from '@nestjs/common';
import type { MetricsSink } from '../observability/metrics-sink.js';
import { messageOf } from '../taskbridge.errors.js';

export interface PeriodicJobOptions {
  /** For the log, at the beginning of a sentence. */
  name: string;
  /** Label of its metrics. */
  label: string;
  metrics: MetricsSink;
  /** Does one batch and returns how many items it took. */
  work(): Promise<number>;
  /** A batch of this size is followed by another at once. */
  batchSize: number;
  /** Least time between two starts by `runIfDue`, in ms; 0 for every round. */
  everyMs?: number;
}

/** So that a backlog of one kind cannot keep a round, or a shutdown, busy for ever. */
const MAX_BATCHES = 20;

/** One kind of upkeep: never overlaps with itself, and a failure is logged once and tried again in the next round. */
export class PeriodicJob {
  private readonly logger = new Logger('TaskScheduler');
  private running: Promise<void> | undefined;
  private again = false;
  private stopped = false;
  private failing = false;
  private startedAt: number | undefined;

  constructor(private readonly options: PeriodicJobOptions) {}

  runIfDue(): Promise<void> {
    const { everyMs = 0 } = this.options;
    const due = this.startedAt === undefined || performance.now() - this.startedAt >= everyMs;
    return due ? this.run() : Promise.resolve();
  }

  /** Never rejects. While a run is under way, one more follows it, because the first may have read too early. */
  run(): Promise<void> {
    if (this.running !== undefined) this.again = true;
    else this.running = this.repeat().finally(() => (this.running = undefined));
    return this.running;
  }

  /** Resolves when no run is under way. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private async repeat(): Promise<void> {
    do {
      this.again = false;
      await this.once();
    } while (this.again && !this.stopped);
  }

  private async once(): Promise<void> {
    const { name, label: job, metrics } = this.options;
    this.startedAt = performance.now();
    try {
      metrics.count('taskbridge_scheduler_items_total', await this.takeBatches(), { job });
      if (this.failing) this.logger.log(`${name} works again`);
      this.failing = false;
    } catch (error) {
      metrics.count('taskbridge_scheduler_failures_total', 1, { job });
      if (!this.failing) this.logger.error(`${name} failed and is tried again: ${messageOf(error)}`);
      this.failing = true;
    }
    metrics.observe('taskbridge_scheduler_job_seconds', (performance.now() - this.startedAt) / 1_000, { job });
  }

  private async takeBatches(): Promise<number> {
    let taken = 0;
    for (let batches = 0; !this.stopped && batches < MAX_BATCHES; batches += 1) {
      const batch = await this.options.work();
      taken += batch;
      if (batch < this.options.batchSize) break;
    }
    return taken;
  }
}
