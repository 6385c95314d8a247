import type { LogEvent } from '../stores/records.js';

/** Work that other processes should look at now instead of at their next poll. */
export type WorkKind = 'runnable' | 'handoff' | 'cancellation';

export interface WakeUpHandlers {
  /** Freshly committed events of any number of tasks, each task's in order; the receiver checks that they follow its tail. */
  onEvents(events: readonly LogEvent[]): void;
  /** The task's log has grown; read it. */
  onHint(taskId: string): void;
  onWork(kind: WorkKind, taskId: string): void;
  /** Wake-ups from other processes may have been lost: look at everything that is watched. */
  onMissed(): void;
}

/**
 * Tells this process and the others that committed state has changed. A wake-up is a hint: losing one costs latency,
 * never data. Always called after the commit.
 */
export abstract class WakeUps {
  /** False while wake-ups from other processes do not arrive, so that waiting takes a poll. */
  get hearsOthers(): boolean {
    return true;
  }

  /** Any number of tasks; events of one task are in order and contiguous. */
  abstract publishEvents(events: readonly LogEvent[]): void;
  /** For appends whose transaction was the host's. */
  abstract publishHint(taskId: string): void;
  abstract publishWork(kind: WorkKind, taskId: string): void;
  /** Returns the function that unsubscribes. */
  abstract subscribe(handlers: Partial<WakeUpHandlers>): () => void;
}
