import { Injectable } from '@nestjs/common';
import { formatEventId, isTerminalStatus } from '@taskbridge/protocol';
import { MetricsSink } from '../observability/metrics-sink.js';
import { EventStore } from '../stores/event.store.js';
import type { TaskRecord } from '../stores/records.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { EventFrame } from '../streams/event-frame.js';
import { PollWait } from '../streams/poll-wait.js';
import { startAfter } from '../streams/stream-cursor.js';
import { StreamDrain } from '../streams/stream-drain.js';
import { StreamTicker } from '../streams/stream-ticker.js';
import { TaskTails } from '../streams/task-tails.js';
import { taskNotFound } from '../taskbridge.errors.js';
import type { PollEventsQuery, PollEventsResult } from './commands.js';
import { EventGapService } from './event-gap.service.js';

/** Reads a task's events for clients that ask again and again; no ownership is checked here. */
@Injectable()
export class TaskPollingService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly tails: TaskTails,
    private readonly ticker: StreamTicker,
    private readonly drain: StreamDrain,
    private readonly gaps: EventGapService,
    private readonly metrics: MetricsSink,
  ) {}

  /**
   * The events after the cursor, at once when there are any; otherwise the first ones to come within `waitTimeoutMs`,
   * or none. Never waits when the task has ended, and no longer than until `signal` aborts. Rejects with
   * `TASK_NOT_FOUND`, also when the task is deleted meanwhile, `INVALID_CURSOR` past the end of the log, with
   * `gap: 'error'` `EVENT_GAP` before what is stored, and with `SERVICE_UNAVAILABLE` instead of waiting while the process
   * shuts down.
   */
  async poll(query: PollEventsQuery): Promise<PollEventsResult> {
    const task = await this.registry.getTask(query.taskId);
    if (!task) throw taskNotFound(query.taskId);
    const { frames, hasMore, nextAfterEventId } = await this.page(task, query);
    return { taskId: query.taskId, events: frames.map((frame) => frame.toEvent()), nextAfterEventId, hasMore };
  }

  /** The same as JSON text, for a caller that has just read the task: stored payloads go through unparsed. */
  async pollJson(task: TaskRecord, query: Omit<PollEventsQuery, 'taskId'>): Promise<string> {
    const { taskId } = task;
    const { frames, hasMore, nextAfterEventId } = await this.page(task, { ...query, taskId });
    const events = frames.map((frame) => frame.json()).join(',');
    return `{"taskId":${JSON.stringify(taskId)},"events":[${events}],"nextAfterEventId":${JSON.stringify(nextAfterEventId)},"hasMore":${hasMore}}`;
  }

  private async page(task: TaskRecord, query: PollEventsQuery): Promise<PolledPage> {
    const { isGap } = startAfter(task, query.afterSeq);
    if (isGap) this.metrics.count('taskbridge_stream_gaps_total', 1, POLL);
    if (isGap && query.gap) throw await this.gaps.refusal(query.taskId);
    if (task.lastSeq > query.afterSeq) return this.read(query);
    if (isTerminalStatus(task.status) || query.waitTimeoutMs <= 0) return pageOf(query, [], false);
    return this.waitForMore(task, query);
  }

  private async waitForMore(task: TaskRecord, query: PollEventsQuery): Promise<PolledPage> {
    this.drain.assertOpen();
    const tail = this.tails.watch(task.taskId, query.afterSeq, task.lastSeq);
    const wait = new PollWait(tail, query.afterSeq, performance.now() + query.waitTimeoutMs);
    this.ticker.add(wait);
    this.drain.add(wait);
    try {
      await wait.until(query.signal);
      if (tail.isGone) throw taskNotFound(task.taskId);
      const batch = tail.next(query.afterSeq, query.maxEvents);
      return pageOf(query, batch?.frames ?? [], (batch?.toSeq ?? tail.lastSeq) < tail.lastSeq);
    } finally {
      this.drain.remove(wait);
      this.ticker.remove(wait);
      this.tails.release(tail);
    }
  }

  /** One more row than asked for tells whether more exist. */
  private async read(query: PollEventsQuery): Promise<PolledPage> {
    const rows = await this.events.listAfter(query.taskId, query.afterSeq, query.maxEvents + 1);
    const next = rows[0]?.seq;
    // The task had more when it was looked at.
    if (next === undefined && !(await this.registry.getTask(query.taskId))) throw taskNotFound(query.taskId);
    if (query.gap && next !== query.afterSeq + 1) throw await this.gaps.refusal(query.taskId);
    const frames = rows.slice(0, query.maxEvents).map((row) => new EventFrame(row));
    return pageOf(query, frames, rows.length > query.maxEvents);
  }
}

const POLL = { transport: 'poll' } as const;

/** What a poll answers with. */
interface PolledPage {
  frames: readonly EventFrame[];
  nextAfterEventId: string | null;
  hasMore: boolean;
}

function pageOf(query: PollEventsQuery, frames: readonly EventFrame[], hasMore: boolean): PolledPage {
  const lastSeq = frames.at(-1)?.seq ?? query.afterSeq;
  return { frames, nextAfterEventId: lastSeq === 0 ? null : formatEventId(lastSeq), hasMore };
}
