import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { StoreClosedError, StoreLockedError } from './errors.js';
import type { LocalTaskStore } from './local-task-store.js';
import { openLocalTaskStore } from './open-local-task-store.js';
import type { TaskState } from './records.js';
import { checkObject, wholeNumber } from './setting-checks.js';
import { localTaskStoreOptions, type Environment, type LocalTaskStoreOptions } from './settings.js';

export interface RecoveryOptions extends Partial<LocalTaskStoreOptions> {
  /** How long to try while another process, such as this one's predecessor, has the store open. @default 30000 */
  lockWaitMs?: number;
  /** @default process.env */
  env?: Environment;
}

/** A store that opens and recovers while the rest of the worker starts. */
export interface LocalTaskStoreRecovery {
  readonly status: 'recovering' | 'ready' | 'failed' | 'closed';
  /** The tasks that this start has ended as interrupted; empty until it is ready. */
  readonly interrupted: readonly TaskState[];
  /**
   * What every assignment waits for. Rejects with the reason when recovery failed, and with StoreClosedError after
   * `close()`; may be asked at any time, or never.
   */
  whenReady(): Promise<LocalTaskStore>;
  /** Ends the recovery, or closes the store. Idempotent; nothing is left to close of one that failed. */
  close(): void;
}

const LOCK_RETRY_MS = 100;

/**
 * Opens the store with the settings of the environment, before which an option goes, and ends what ran before as
 * interrupted, in the background: registration, heartbeats and metrics go on meanwhile, and when it fails. Never throws,
 * and an unread failure is no unhandled rejection. Waits for another process's lock without blocking.
 */
export function recoverLocalTaskStore(options: RecoveryOptions = {}): LocalTaskStoreRecovery {
  return new BackgroundRecovery(options);
}

class BackgroundRecovery implements LocalTaskStoreRecovery {
  status: LocalTaskStoreRecovery['status'] = 'recovering';
  interrupted: readonly TaskState[] = [];
  private path = '';
  private store: LocalTaskStore | undefined;
  private readonly recovered: Promise<LocalTaskStore>;

  constructor(options: RecoveryOptions) {
    this.recovered = this.recover(options);
    this.recovered.catch(() => {
      if (this.status !== 'closed') this.status = 'failed';
    });
  }

  async whenReady(): Promise<LocalTaskStore> {
    const store = await this.recovered;
    this.refuseClosed();
    return store;
  }

  close(): void {
    if (this.status !== 'failed') this.status = 'closed';
    this.store?.close();
  }

  private async recover(recoveryOptions: RecoveryOptions): Promise<LocalTaskStore> {
    checkObject('options', recoveryOptions);
    const { lockWaitMs = 30_000, env, ...given } = recoveryOptions;
    const waitMs = wholeNumber('lockWaitMs', lockWaitMs, 0);
    const options = { busyTimeoutMs: 0, ...given, ...localTaskStoreOptions(env, given) };
    this.path = options.path;
    await nextTurn();
    const store = await this.open(options, performance.now() + waitMs);
    try {
      this.interrupted = store.markInterruptedRunningTasks();
    } catch (error) {
      store.close();
      throw error;
    }
    this.store = store;
    this.status = 'ready';
    return store;
  }

  private async open(options: LocalTaskStoreOptions, untilMs: number): Promise<LocalTaskStore> {
    for (;;) {
      this.refuseClosed();
      try {
        return openLocalTaskStore(options);
      } catch (error) {
        if (!(error instanceof StoreLockedError) || performance.now() >= untilMs) throw error;
      }
      await sleep(LOCK_RETRY_MS);
    }
  }

  private refuseClosed(): void {
    if (this.status === 'closed') throw new StoreClosedError(this.path);
  }
}
