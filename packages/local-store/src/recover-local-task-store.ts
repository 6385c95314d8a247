import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { StoreClosedError, StoreLockedError } from './errors.js';
import type { LocalTaskStore } from './local-task-store.js';
import { openDefault } from './open-local-task-store.js';
import type { TaskState } from './records.js';
import { checkObject, wholeNumber } from './setting-checks.js';
import type { Environment, LocalTaskStoreOptions } from './settings.js';

export interface RecoveryOptions extends Partial<LocalTaskStoreOptions> {
  /** How long to try while another process, such as this one's predecessor, has the store open. @default 30000 */
  lockWaitMs?: number;
  /** @default process.env */
  env?: Environment;
}

/** A store that opens and recovers while the rest of the worker starts. */
export interface LocalTaskStoreRecovery {
  readonly status: 'recovering' | 'ready' | 'failed';
  /** The tasks that this start has ended as interrupted; empty until it is ready. */
  readonly interrupted: readonly TaskState[];
  /**
   * What every assignment waits for. Rejects with the reason when recovery failed; the reason may be asked for at any
   * time, or never.
   */
  whenReady(): Promise<LocalTaskStore>;
  /** Ends the recovery, or closes the store. Idempotent. */
  close(): void;
}

const LOCK_RETRY_MS = 100;

/**
 * Opens the store through {@link openDefault} and ends what ran before as interrupted, in the background: registration,
 * heartbeats and metrics go on meanwhile, and when it fails. Never throws, and an unread failure is no unhandled
 * rejection. Waits for another process's lock without blocking.
 */
export function recoverLocalTaskStore(options: RecoveryOptions = {}): LocalTaskStoreRecovery {
  return new BackgroundRecovery(options);
}

class BackgroundRecovery implements LocalTaskStoreRecovery {
  status: LocalTaskStoreRecovery['status'] = 'recovering';
  interrupted: readonly TaskState[] = [];
  private store: LocalTaskStore | undefined;
  private readonly closing = new AbortController();
  private readonly recovered: Promise<LocalTaskStore>;

  constructor(options: RecoveryOptions) {
    this.recovered = this.recover(options);
    this.recovered.catch(() => {
      this.status = 'failed';
    });
  }

  whenReady(): Promise<LocalTaskStore> {
    return this.recovered;
  }

  close(): void {
    this.closing.abort(new StoreClosedError('under recovery'));
    this.store?.close();
  }

  private async recover(recoveryOptions: RecoveryOptions): Promise<LocalTaskStore> {
    checkObject('options', recoveryOptions);
    const { lockWaitMs = 30_000, env, ...options } = recoveryOptions;
    const waitMs = wholeNumber('lockWaitMs', lockWaitMs, 0);
    await nextTurn();
    const store = await this.open(options, env, performance.now() + waitMs);
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

  private async open(
    options: Partial<LocalTaskStoreOptions>,
    env: Environment | undefined,
    untilMs: number,
  ): Promise<LocalTaskStore> {
    for (;;) {
      this.closing.signal.throwIfAborted();
      try {
        return openDefault({ busyTimeoutMs: 0, ...options }, env);
      } catch (error) {
        if (!(error instanceof StoreLockedError) || performance.now() >= untilMs) throw error;
      }
      await sleep(LOCK_RETRY_MS);
    }
  }
}
