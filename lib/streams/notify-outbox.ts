import type { LogEvent } from '../stores/records.js';
import { eventEntry, maxEntryBytes, packMessages, probeMessage } from './notify-message.js';
import type { WorkKind } from './wake-ups.js';

/** Past this many waiting bytes events shrink to hints: whoever receives one reads the log. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
/** Past this many hints the rest is left to the backstop poll of the others. */
const MAX_HINTS = 10_000;

/** What this process has to tell the others, gathered while a notification is on its way. */
export class NotifyOutbox {
  private events: LogEvent[] = [];
  private waitingBytes = 0;
  private readonly hints = new Set<string>();
  private readonly work = new Set<string>();
  private probe: number | undefined;
  private readonly maxEntryBytes: number;

  constructor(
    private readonly origin: string,
    private readonly carriesEvents: boolean,
  ) {
    this.maxEntryBytes = maxEntryBytes(origin);
  }

  get isEmpty(): boolean {
    return this.events.length === 0 && this.hints.size === 0 && this.work.size === 0 && this.probe === undefined;
  }

  addEvents(events: readonly LogEvent[]): void {
    for (const event of events) this.addEvent(event);
  }

  addHint(taskId: string): void {
    if (this.hints.size < MAX_HINTS) this.hints.add(taskId);
  }

  addWork(kind: WorkKind, taskId: string): void {
    if (this.work.size < MAX_HINTS) this.work.add(JSON.stringify([kind, taskId]));
  }

  /** A message to this process itself. */
  setProbe(probe: number): void {
    this.probe = probe;
  }

  /** Keeps no events: while nobody can be notified, only which tasks have grown. */
  shrink(): void {
    for (const { taskId } of this.events) this.addHint(taskId);
    this.clearEvents();
  }

  /** Everything that waits, as messages. Hints come last: by then the events before them are on their way. */
  take(): string[] {
    const work = packMessages(this.origin, 'w', takeAll(this.work));
    const events = packMessages(this.origin, 'e', this.entries());
    const taskIds = takeAll(this.hints).map((taskId) => JSON.stringify(taskId));
    const probe = this.probe === undefined ? [] : [probeMessage(this.origin, this.probe)];
    this.clearEvents();
    this.probe = undefined;
    return [...work, ...events, ...packMessages(this.origin, 'h', taskIds), ...probe];
  }

  private addEvent(event: LogEvent): void {
    if (!this.carriesEvents) return this.addHint(event.taskId);
    this.events.push(event);
    this.waitingBytes += event.payloadJson.length;
    if (this.waitingBytes > MAX_WAITING_BYTES) this.shrink();
  }

  /** Written only now, when whoever appended is answered. One that is too long becomes a hint. */
  private entries(): string[] {
    const entries: string[] = [];
    for (const event of this.events) {
      const entry = eventEntry(event);
      if (this.fits(entry)) entries.push(entry);
      else this.addHint(event.taskId);
    }
    return entries;
  }

  /** A UTF-16 unit takes three bytes at most. */
  private fits(entry: string): boolean {
    return entry.length * 3 <= this.maxEntryBytes || Buffer.byteLength(entry) <= this.maxEntryBytes;
  }

  private clearEvents(): void {
    this.events = [];
    this.waitingBytes = 0;
  }
}

function takeAll(entries: Set<string>): string[] {
  const all = [...entries];
  entries.clear();
  return all;
}
