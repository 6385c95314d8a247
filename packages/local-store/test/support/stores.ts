import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  openLocalTaskStore,
  type LocalTaskStore,
  type LocalTaskStoreOptions,
  type OutboxMessage,
  type TaskAttempt,
} from '@taskbridge/local-store';

/** A folder of a test's own, and the stores opened in it. */
export class StoreFolder {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'taskbridge-local-store-'));
  readonly file = path.join(this.folder, 'task_store.db');
  private readonly opened: LocalTaskStore[] = [];

  open(options: Partial<LocalTaskStoreOptions> = {}): LocalTaskStore {
    const store = openLocalTaskStore({ path: this.file, busyTimeoutMs: 0, ...options });
    this.opened.push(store);
    return store;
  }

  remove(): void {
    for (const store of this.opened) store.close();
    rmSync(this.folder, { recursive: true });
  }
}

export const task = (taskId: string, executionAttemptId = 'attempt-1'): TaskAttempt => ({ taskId, executionAttemptId });

export function start(store: LocalTaskStore, one: TaskAttempt): TaskAttempt {
  store.recordReceived(one);
  store.recordStarted(one.taskId, one.executionAttemptId);
  return one;
}

export const text = (message: Pick<OutboxMessage, 'payload'>): string => Buffer.from(message.payload).toString();

/** Ids of everything pending, in the order of delivery. */
export const pendingIds = (store: LocalTaskStore): string[] =>
  [...store.unackedMessages()].map(({ messageId }) => messageId);

/** The error that the call throws. */
export function thrownBy(call: () => unknown): { code?: string; message: string } {
  try {
    call();
  } catch (error) {
    return error as { code?: string; message: string };
  }
  throw new Error('Nothing was thrown');
}

/** An object that JSON cannot have. */
export function cycle(): object {
  const one: { itself?: object } = {};
  one.itself = one;
  return one;
}
