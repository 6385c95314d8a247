import type { LogEvent } from '../stores/records.js';
import { eventEntry, fitsMessage, packMessages, probeMessage } from './notify-message.js';
import type { WorkKind } from './wake-ups.js';

/** Past this many waiting bytes events shrink to hints: whoever receives one reads the log. */
const MAX_WAITING_BYTES = 2 * 1024 * 1024;
/** Past this many hints the rest is left to the backstop poll of the others. */
const MAX_HINTS = 10_000;

/** What this process has to tell the others, gathered while a notification is on its way. */
export class NotifyOutbox {
  private entries: string[] = [];
  private waitingBytes = 0;
  private waitingTasks = new Set<string>();
  private readonly hints = new Set<string>();
  private readonly work = new Set<string>();
  private probe: number | undefined;

  constructor(
    private readonly origin: string,
    private readonly carriesEvents: boolean,
  ) {}

  get isEmpty(): boolean {
    return this.entries.length === 0 && this.hints.size === 0 && this.work.size === 0 && this.probe === undefined;
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
    for (const taskId of this.waitingTasks) this.addHint(taskId);
    this.clearEvents();
  }

  /** Everything that waits, as messages. Hints come last: by then the events before them are on their way. */
  take(): string[] {
    const work = packMessages(this.origin, 'w', takeAll(this.work));
    const events = packMessages(this.origin, 'e', this.entries);
    const taskIds = takeAll(this.hints).map((taskId) => JSON.stringify(taskId));
    const probe = this.probe === undefined ? [] : [probeMessage(this.origin, this.probe)];
    this.clearEvents();
    this.probe = undefined;
    return [...work, ...events, ...packMessages(this.origin, 'h', taskIds), ...probe];
  }

  private addEvent(event: LogEvent): void {
    const entry = this.carriesEvents ? eventEntry(event) : '';
    if (entry === '' || !fitsMessage(entry, this.origin)) return this.addHint(event.taskId);
    this.entries.push(entry);
    this.waitingTasks.add(event.taskId);
    this.waitingBytes += entry.length;
    if (this.waitingBytes > MAX_WAITING_BYTES) this.shrink();
  }

  private clearEvents(): void {
    this.entries = [];
    this.waitingBytes = 0;
    this.waitingTasks = new Set();
  }
}

function takeAll(entries: Set<string>): string[] {
  const all = [...entries];
  entries.clear();
  return all;
}
