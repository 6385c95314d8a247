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
      onEvents: (events) => this.share(events),
      onHint: (hinted) => this.tell(hinted),
    });
    return () => this.leave(taskId, listener);
  }

  /** To each task's listeners its own. */
  private share(events: readonly LogEvent[]): void {
    const byTask = new Map<string, LogEvent[]>();
    for (const event of events) {
      if (!this.listeners.has(event.taskId)) continue;
      const known = byTask.get(event.taskId);
      if (known === undefined) byTask.set(event.taskId, [event]);
      else known.push(event);
    }
    for (const [taskId, own] of byTask) this.tell(taskId, own);
  }

  private tell(taskId: string, events?: readonly LogEvent[]): void {
    for (const listener of Array.from(this.listeners.get(taskId) ?? [])) listener(events);
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
