import { drainingError, type Drainable } from './stream-drain.js';
import type { Ticking } from './stream-ticker.js';
import type { TaskTail } from './task-tail.js';

/** One long poll between its question and the first event, its time-out, or the end of its client or process. */
export class PollWait implements Ticking, Drainable {
  private settle: ((error?: Error) => void) | undefined;

  constructor(
    private readonly tail: TaskTail,
    private readonly afterSeq: number,
    private readonly untilMs: number,
  ) {}

  /** Resolves when looking again is worth while, or when time is up; rejects with `SERVICE_UNAVAILABLE` at shutdown. */
  async until(signal?: AbortSignal): Promise<void> {
    if (this.tail.lastSeq > this.afterSeq || signal?.aborted) return;
    const subscription = this.tail.batches$.subscribe({ next: () => this.settle?.() });
    const abort = () => this.settle?.();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        this.settle = (error) => (error === undefined ? resolve() : reject(error));
      });
    } finally {
      subscription.unsubscribe();
      signal?.removeEventListener('abort', abort);
    }
  }

  tick(nowMs: number): void {
    if (nowMs >= this.untilMs) this.settle?.();
  }

  shutdown(): void {
    this.settle?.(drainingError());
  }

  terminate(): void {
    this.shutdown();
  }
}
