import type { LogEvent } from './records.js';

/** What reaches one waiting reader, and for how long it waits. Close it, or its timer stays. */
export class LogMailbox {
  private readonly deadline: number;
  private received: LogEvent[] = [];
  private isTold = false;
  private timer: NodeJS.Timeout | undefined;
  private wake: (() => void) | undefined;
  private readonly onAbort = (): void => this.wake?.();

  constructor(
    private readonly backstopMs: number,
    timeoutMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.deadline = performance.now() + timeoutMs;
    signal?.addEventListener('abort', this.onAbort);
  }

  get isAborted(): boolean {
    return this.signal?.aborted === true;
  }

  get isOver(): boolean {
    return this.isAborted || performance.now() >= this.deadline;
  }

  /** Without events: something has changed, read the log. */
  put(events: readonly LogEvent[] = []): void {
    this.received.push(...events);
    this.isTold = true;
    this.wake?.();
  }

  /** The received events that follow `afterSeq` without a gap; `undefined` when only the log can tell. */
  takeAfter(afterSeq: number, limit: number): LogEvent[] | undefined {
    const found: LogEvent[] = [];
    for (const event of this.received) {
      if (event.seq === afterSeq + found.length + 1 && found.length < limit) found.push(event);
    }
    this.received = [];
    this.isTold = false;
    return found.length > 0 ? found : undefined;
  }

  /** Until something comes, the backstop is due, the time is over or the signal is aborted. */
  async wait(): Promise<void> {
    const ms = Math.min(this.backstopMs, this.deadline - performance.now());
    if (this.isTold || this.isAborted || ms <= 0) return;
    await new Promise<void>((resolve) => {
      this.wake = resolve;
      this.timer = setTimeout(resolve, Math.ceil(ms));
    });
    this.wake = undefined;
    clearTimeout(this.timer);
  }

  close(): void {
    clearTimeout(this.timer);
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}
