import { Inject, Injectable, Logger } from '@nestjs/common';
import { MetricsSink } from '../observability/metrics-sink.js';
import { EventStore } from '../stores/event.store.js';
import type { LogEvent } from '../stores/records.js';
import type { StreamRuntimeSettings, TaskBridgeSettings } from '../taskbridge.options.js';
import { messageOf } from '../taskbridge.errors.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { ReadSlots } from './read-slots.js';
import { StreamTicker, type Ticking } from './stream-ticker.js';
import { type TailContext, TaskTail } from './task-tail.js';
import { WakeUps } from './wake-ups.js';

/** Ids per backstop query. */
const IDS_PER_POLL = 5_000;
/** Reads of logs at a time: many followers that come back at once must not take the host's whole pool. */
const READS_AT_A_TIME = 4;

/**
 * The tails of all tasks that somebody follows in this process: kept up by wake-ups, and by one backstop query over all
 * of them that makes a lost wake-up cost latency only. Nothing runs while nothing is watched.
 */
@Injectable()
export class TaskTails implements Ticking {
  private readonly logger = new Logger(TaskTails.name);
  private readonly tails = new Map<string, TaskTail>();
  private readonly settings: StreamRuntimeSettings;
  private readonly context: TailContext;
  private readonly slots = new ReadSlots(READS_AT_A_TIME);
  private scheduled = new Set<TaskTail>();
  private unsubscribe: (() => void) | undefined;
  private nextPollAtMs = 0;
  private polling = false;
  private reading = true;

  constructor(
    private readonly events: EventStore,
    private readonly wakeUps: WakeUps,
    private readonly ticker: StreamTicker,
    private readonly metrics: MetricsSink,
    @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
  ) {
    this.settings = settings.streams;
    this.context = {
      ring: { events: this.settings.tailEvents, bytes: this.settings.tailBytes },
      pageSize: this.settings.sse.replayBatchSize,
      read: (taskId, afterSeq, limit) => this.read(taskId, afterSeq, limit),
      schedule: (tail) => this.schedule(tail),
      readFailed: (taskId, error) => this.readFailed(taskId, error),
      followerFailed: (taskId, error) => this.logger.error(`A follower of task ${taskId} failed: ${messageOf(error)}`),
    };
  }

  /** Tasks with at least one watcher. */
  get size(): number {
    return this.tails.size;
  }

  /**
   * Keeps the task's tail until `release`. `knownSeq` is the log's length as the caller has read it before this call;
   * a new tail reaches back to `afterSeq` when memory allows, and reads what has been appended since.
   */
  watch(taskId: string, afterSeq: number, knownSeq: number): TaskTail {
    const tail = this.tails.get(taskId) ?? this.open(taskId, afterSeq, knownSeq);
    tail.watchers += 1;
    if (knownSeq > tail.lastSeq) tail.pull();
    return tail;
  }

  release(tail: TaskTail): void {
    tail.watchers -= 1;
    if (tail.watchers > 0) return;
    this.tails.delete(tail.taskId);
    this.metrics.gauge('taskbridge_tasks_watched', this.tails.size);
    if (this.tails.size === 0) this.stop();
  }

  tick(nowMs: number): void {
    if (nowMs >= this.nextPollAtMs && !this.polling) void this.poll(nowMs);
  }

  private open(taskId: string, afterSeq: number, knownSeq: number): TaskTail {
    const start = knownSeq - afterSeq <= this.settings.tailEvents ? afterSeq : knownSeq;
    const tail = new TaskTail(taskId, start, this.context);
    if (this.tails.size === 0) this.start();
    this.tails.set(taskId, tail);
    this.metrics.gauge('taskbridge_tasks_watched', this.tails.size);
    tail.pull();
    return tail;
  }

  private start(): void {
    this.nextPollAtMs = performance.now() + this.pollIntervalMs();
    this.ticker.add(this);
    this.unsubscribe = this.wakeUps.subscribe({
      onEvents: (events) => this.accept(events),
      onHint: (taskId) => this.tails.get(taskId)?.pull(),
      onMissed: () => this.pollSoon(),
    });
  }

  private stop(): void {
    this.ticker.remove(this);
    this.unsubscribe?.();
    this.unsubscribe = undefined;
  }

  /** Events of many tasks, those of one task in order; runs of the same task go to its tail together. */
  private accept(events: readonly LogEvent[]): void {
    for (let start = 0; start < events.length;) {
      const taskId = events[start]?.taskId ?? '';
      let end = start + 1;
      while (events[end]?.taskId === taskId) end += 1;
      this.tails.get(taskId)?.accept(events.slice(start, end));
      start = end;
    }
  }

  /** Everything that arrives in one turn of the event loop goes out together, after the appender has been answered. */
  private schedule(tail: TaskTail): void {
    if (this.scheduled.size === 0) setImmediate(() => this.emitScheduled());
    this.scheduled.add(tail);
  }

  private emitScheduled(): void {
    const due = this.scheduled;
    this.scheduled = new Set();
    for (const tail of due) tail.emit();
  }

  private pollIntervalMs(): number {
    return this.wakeUps.hearsOthers ? this.settings.backstopPollMs : this.settings.deafPollMs;
  }

  private pollSoon(): void {
    this.nextPollAtMs = 0;
  }

  private async poll(nowMs: number): Promise<void> {
    this.polling = true;
    this.nextPollAtMs = nowMs + this.pollIntervalMs();
    try {
      const open = [...this.tails.values()].filter((tail) => !tail.isEnded && !tail.isGone);
      for (let start = 0; start < open.length; start += IDS_PER_POLL) {
        await this.pollSome(open.slice(start, start + IDS_PER_POLL));
      }
    } catch (error) {
      this.warnOnce(`Could not look for new events: ${messageOf(error)}`);
    } finally {
      this.polling = false;
    }
  }

  private async pollSome(tails: readonly TaskTail[]): Promise<void> {
    const seqs = await this.events.lastSeqs(tails.map((tail) => tail.taskId));
    const behind = tails.filter((tail) => (seqs.get(tail.taskId) ?? 0) > tail.lastSeq);
    // Their tasks were there when the tails were opened, so these were deleted.
    for (const tail of tails) if (!seqs.has(tail.taskId)) tail.markGone();
    if (behind.length > 0) this.metrics.count('taskbridge_wakeups_total', behind.length, POLLED);
    for (const tail of behind) tail.pull();
  }

  private async read(taskId: string, afterSeq: number, limit: number): Promise<LogEvent[]> {
    const events = await this.slots.run(() => this.events.listAfter(taskId, afterSeq, limit));
    this.reading = true;
    return events;
  }

  private readFailed(taskId: string, error: unknown): void {
    this.warnOnce(`Could not read the events of task ${taskId}: ${messageOf(error)}`);
  }

  /** A database that is away fails every read: said once, until a read succeeds again. */
  private warnOnce(message: string): void {
    if (this.reading) this.logger.warn(`${message}; followers wait until it is possible again`);
    this.reading = false;
  }
}

const POLLED = { source: 'poll' } as const;
