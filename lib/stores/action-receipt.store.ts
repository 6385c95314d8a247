import type { StoreOptions } from './event.store.js';
import type { TaskActionReceipt } from './records.js';

/** Receipts of accepted actions; `saveReceipt` is one write of `acceptActionIfOpen`'s transaction. */
export abstract class ActionReceiptStore {
  /** `lock` takes the row's lock, after the task's, and needs a manager. */
  abstract getReceipt(
    taskId: string,
    clientActionId: string,
    options?: StoreOptions & { lock?: boolean },
  ): Promise<TaskActionReceipt | undefined>;
  /** In the order of acceptance. */
  abstract listReceipts(taskId: string, options?: StoreOptions): Promise<TaskActionReceipt[]>;
  /** `false` when the task has a receipt for this action or this suspension already: the constraint decides. */
  abstract saveReceipt(receipt: TaskActionReceipt, options?: StoreOptions): Promise<boolean>;
  /** Deletes receipts of tasks that ended more than `olderThanMs` ago, never with a pending resume; returns the count. */
  abstract deleteExpiredReceipts(olderThanMs: number, limit: number): Promise<number>;
}
