import type { WakeUps } from '../streams/wake-ups.js';
import type { LogEvent } from './records.js';

/** Called with the events that were committed, or without when the log has to be read. */
export type LogListener = (events?: readonly LogEvent[]) => void;

/** Who waits for which task's log in this process: one subscription to the wake-ups, none while nobody waits. */
export class LogWaiters {
  private readonly listeners = new Map<string, Set<LogListener>>();
  private unsubscribe: (() => void) | undefined;

  constructor(private readonly wakeUps: WakeUps) {}

  /** Returns the function that ends it. */
  listen(taskId: string, listener: LogListener): () => void {
    const known = this.listeners.get(taskId);
    if (known === undefined) this.listeners.set(taskId, new Set([listener]));
    else known.add(listener);
    this.unsubscribe ??= this.wakeUps.subscribe({
      onEvents: (events) => this.tell(events[0]?.taskId, events),
      onHint: (hinted) => this.tell(hinted),
    });
    return () => this.leave(taskId, listener);
  }

  private tell(taskId: string | undefined, events?: readonly LogEvent[]): void {
    const listeners = taskId === undefined ? undefined : this.listeners.get(taskId);
    if (listeners === undefined) return;
    for (const listener of Array.from(listeners)) listener(events);
  }

  private leave(taskId: string, listener: LogListener): void {
    const listeners = this.listeners.get(taskId);
    listeners?.delete(listener);
    if (listeners?.size === 0) this.listeners.delete(taskId);
    if (this.listeners.size > 0) return;
    this.unsubscribe?.();
    this.unsubscribe = undefined;
  }
}
