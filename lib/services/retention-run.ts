import { setTimeout as sleep } from 'node:timers/promises';
import { Logger } from '@nestjs/common';
import type { ActionReceiptStore } from '../stores/action-receipt.store.js';
import type { AttachmentStore } from '../stores/attachment.store.js';
import type { DueTask, LongOpenLog, TaskRetentionStore } from '../stores/task-retention.store.js';
import { messageOf } from '../taskbridge.errors.js';
import type { RetentionSettings } from '../taskbridge.options.js';
import type { RetentionTally } from './retention-report.js';
import { idOf, packs } from './retention-walk.js';

export interface RetentionRunContext {
  readonly policy: RetentionSettings;
  readonly receipts: ActionReceiptStore;
  readonly attachments: AttachmentStore;
  readonly tally: RetentionTally;
  readonly signal: AbortSignal | undefined;
}

/** One run's deletions: small statements with a pause after each, until the signal. */
export class RetentionRun {
  private readonly logger = new Logger('TaskRetentionService');
  private readonly batchSize: number;
  private hasWarned = false;

  constructor(private readonly context: RetentionRunContext) {
    this.batchSize = context.policy.batchSize;
  }

  /** Does with a page of ended tasks what they are due for. */
  async clear(page: readonly DueTask[], store: TaskRetentionStore): Promise<void> {
    const doomed = page.filter(({ isDoomed }) => isDoomed);
    for (const pack of packs(doomed, this.batchSize)) await this.deleteTasks(pack, store);
    const { keepEvents } = this.context.policy.trim;
    for (const { taskId } of page.filter(({ isTooLong }) => isTooLong)) {
      const trimmed = await this.inSteps(() => store.trimFinished(taskId, keepEvents, this.batchSize));
      this.context.tally.addTrimmed(trimmed);
    }
  }

  /** Trims one log that goes on. */
  async trimOpen({ taskId }: LongOpenLog, asOfMs: number, store: TaskRetentionStore): Promise<void> {
    const { keepEvents, olderThanMs } = this.context.policy.trim;
    if (olderThanMs === false) return;
    const policy = { keepEvents, olderThanMs };
    this.context.tally.addTrimmed(await this.inSteps(() => store.trimOpen(taskId, policy, asOfMs, this.batchSize)));
  }

  async deleteReceipts(): Promise<void> {
    const { policy, receipts, tally } = this.context;
    const ageMs = policy.receiptsOlderThanMs;
    if (ageMs === false) return;
    tally.add('receipts', await this.inSteps(() => receipts.deleteExpiredReceipts(ageMs, this.batchSize)));
  }

  /** Never a question whose answer still has to reach the executor. */
  async deleteSuspensions(store: TaskRetentionStore): Promise<void> {
    const { policy, tally } = this.context;
    const ageMs = policy.suspensionsOlderThanMs;
    if (ageMs === false) return;
    tally.add('suspensions', await this.inSteps(() => store.deleteSuspensions(ageMs, this.batchSize)));
  }

  /** Files first: once the row is gone, nothing names them. A log too long for one statement goes from its start. */
  private async deleteTasks(pack: readonly DueTask[], store: TaskRetentionStore): Promise<void> {
    const { tally, signal } = this.context;
    if (signal?.aborted) return;
    const ids = await this.removeFiles(pack.map(idOf));
    for (const { taskId, storedEvents } of pack) {
      if (storedEvents <= this.batchSize || !ids.includes(taskId)) continue;
      tally.add('events', await this.inSteps(() => store.trimFinished(taskId, this.batchSize, this.batchSize)));
    }
    if (ids.length === 0 || signal?.aborted) return;
    const deleted = await store.deleteTasks(ids, this.batchSize);
    tally.addTasks(deleted.tasksByType);
    for (const kind of ['events', 'receipts', 'suspensions'] as const) tally.add(kind, deleted[kind]);
    await this.pause();
  }

  /** Returns the tasks that have no files any more; a store that refuses one of them must not keep the others. */
  private async removeFiles(taskIds: readonly string[]): Promise<string[]> {
    const { attachments, tally } = this.context;
    try {
      tally.add('attachments', await attachments.removeOf(taskIds));
      return [...taskIds];
    } catch (error) {
      if (taskIds.length > 1) return this.removeFilesSingly(taskIds);
      this.warnOnce(taskIds[0], error);
      return [];
    }
  }

  private async removeFilesSingly(taskIds: readonly string[]): Promise<string[]> {
    const cleared: string[] = [];
    for (const taskId of taskIds) cleared.push(...(await this.removeFiles([taskId])));
    return cleared;
  }

  /** A store that is away refuses every task. */
  private warnOnce(taskId: string | undefined, error: unknown): void {
    if (!this.hasWarned) {
      const message = `Files could not be removed, so their tasks stay until the next run: ${messageOf(error)}`;
      this.logger.warn({ message, taskId });
    }
    this.hasWarned = true;
  }

  /** Repeats a step that deletes up to a batch until there is less to delete; returns how many in all. */
  private async inSteps(step: () => Promise<number>): Promise<number> {
    let total = 0;
    let last = this.batchSize;
    while (last >= this.batchSize && !this.context.signal?.aborted) {
      last = await step();
      total += last;
      if (last > 0) await this.pause();
    }
    return total;
  }

  private async pause(): Promise<void> {
    const { policy, signal } = this.context;
    // An abort ends the pause; what follows looks at the signal.
    await sleep(policy.pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
