import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import { MetricsSink } from '../observability/metrics-sink.js';
import { ActionReceiptStore } from '../stores/action-receipt.store.js';
import { AttachmentStore } from '../stores/attachment.store.js';
import {
  type DueTask,
  FIRST_DUE,
  FIRST_OPEN,
  type LongOpenLog,
  TaskRetentionStore,
  type WalkOptions,
} from '../stores/task-retention.store.js';
import type { RetentionSettings, TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { type RetentionReport, RetentionTally } from './retention-report.js';
import { RetentionRun } from './retention-run.js';
import { idOf, pages } from './retention-walk.js';

export interface RetentionRunOptions {
  /** Counts what a run would delete, and deletes nothing. @default false */
  dryRun?: boolean | undefined;
  /** Ends the run early, between two statements; what it has done until then stays. */
  signal?: AbortSignal | undefined;
}

/**
 * Deletes what is older than the settings say: finished tasks with everything that belongs to them, receipts and
 * suspensions of ended tasks, the oldest events of long logs. It works in small statements with pauses in between, so
 * that appends go on beside it. Any number of instances may run it at once, and an interrupted run is continued by the
 * next one. Open tasks are never touched, unless `retention.trim.openTasks` says so.
 */
@Injectable()
export class TaskRetentionService {
  private readonly logger = new Logger(TaskRetentionService.name);
  private readonly policy: RetentionSettings;

  constructor(
    @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
    private readonly receipts: ActionReceiptStore,
    private readonly attachments: AttachmentStore,
    private readonly metrics: MetricsSink,
    /** Missing where the host brings its own log: then only receipts are deleted here. */
    @Optional() private readonly store?: TaskRetentionStore,
  ) {
    this.policy = settings.retention;
  }

  /** What `run` would delete now, by the same rules. */
  preview(options: Omit<RetentionRunOptions, 'dryRun'> = {}): Promise<RetentionReport> {
    return this.run({ ...options, dryRun: true });
  }

  /**
   * Deletes everything that is old enough when the call begins, whatever `retention.enabled` says, and reports it. A
   * task whose files cannot be removed is logged and left for the next run; a database that fails rejects.
   */
  async run({ dryRun = false, signal }: RetentionRunOptions = {}): Promise<RetentionReport> {
    const startedAt = performance.now();
    const tally = new RetentionTally(dryRun, this.metrics);
    await (dryRun ? this.count(tally, signal) : this.delete(tally, signal));
    if (dryRun || signal?.aborted) return tally.report;
    this.metrics.observe('taskbridge_retention_run_seconds', (performance.now() - startedAt) / 1_000);
    this.metrics.gauge('taskbridge_retention_last_success_seconds', Date.now() / 1_000);
    if (!tally.isEmpty) this.logger.log({ message: 'Deleted what is older than the retention', ...tally.report });
    return tally.report;
  }

  private async delete(tally: RetentionTally, signal: AbortSignal | undefined): Promise<void> {
    const { policy, receipts, attachments, store } = this;
    const run = new RetentionRun({ policy, receipts, attachments, tally, signal });
    if (store) {
      const walk = { asOfMs: await store.now(), isCounted: false };
      for await (const page of this.ended(store, walk, signal)) await run.clear(page, store);
      for await (const page of this.open(store, walk, signal)) {
        for (const log of page) await run.trimOpen(log, walk.asOfMs, store);
      }
      await run.deleteSuspensions(store);
    }
    await run.deleteReceipts();
  }

  private async count(tally: RetentionTally, signal: AbortSignal | undefined): Promise<void> {
    if (!this.store) return;
    const walk = { asOfMs: await this.store.now(), isCounted: true };
    const old = await this.store.countOld(this.policy, walk.asOfMs);
    tally.add('receipts', old.receipts);
    tally.add('suspensions', old.suspensions);
    for await (const page of this.ended(this.store, walk, signal)) {
      for (const task of page) this.countEnded(task, tally);
      const doomed = page.filter(({ isDoomed }) => isDoomed).map(idOf);
      if (doomed.length > 0) tally.add('attachments', await this.attachments.countOf(doomed));
    }
    for await (const page of this.open(this.store, walk, signal)) {
      for (const { excessEvents } of page) tally.addTrimmed(excessEvents);
    }
  }

  private countEnded(task: DueTask, tally: RetentionTally): void {
    tally.add('receipts', task.receipts);
    tally.add('suspensions', task.suspensions);
    if (task.isDoomed) {
      tally.addTasks({ [task.taskType]: 1 });
      tally.add('events', task.storedEvents);
    } else if (task.isTooLong) {
      tally.addTrimmed(task.storedEvents - this.policy.trim.keepEvents);
    }
  }

  private ended(store: TaskRetentionStore, walk: WalkOptions, signal?: AbortSignal): AsyncGenerator<DueTask[]> {
    return pages(FIRST_DUE, (after) => store.listDue(this.policy, after, walk), signal);
  }

  private open(store: TaskRetentionStore, walk: WalkOptions, signal?: AbortSignal): AsyncGenerator<LongOpenLog[]> {
    return pages(FIRST_OPEN, (after) => store.listLongOpen(this.policy, after, walk), signal);
  }
}
