import { Injectable } from '@nestjs/common';
import { formatEventId, isTerminalStatus } from '@taskbridge/protocol';
import { EventStore } from '../stores/event.store.js';
import type { TaskRecord } from '../stores/records.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { EventFrame } from '../streams/event-frame.js';
import { PollWait } from '../streams/poll-wait.js';
import { assertCursor } from '../streams/stream-cursor.js';
import { StreamDrain } from '../streams/stream-drain.js';
import { StreamTicker } from '../streams/stream-ticker.js';
import { TaskTails } from '../streams/task-tails.js';
import { taskNotFound } from '../taskbridge.errors.js';
import type { PollEventsQuery, PollEventsResult } from './commands.js';

/** Reads a task's events for clients that ask again and again; no ownership is checked here. */
@Injectable()
export class TaskPollingService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly tails: TaskTails,
    private readonly ticker: StreamTicker,
    private readonly drain: StreamDrain,
  ) {}

  /**
   * The events after the cursor, at once when there are any; otherwise the first ones to come within `waitTimeoutMs`,
   * or none. Never waits when the task has ended, and no longer than until `signal` aborts. Rejects with
   * `TASK_NOT_FOUND`, `INVALID_CURSOR` past the end of the log, `EVENT_GAP` before what is stored, and with
   * `SERVICE_UNAVAILABLE` instead of waiting while the process shuts down.
   */
  async poll(query: PollEventsQuery): Promise<PollEventsResult> {
    const task = await this.registry.getTask(query.taskId);
    if (!task) throw taskNotFound(query.taskId);
    assertCursor(task, query.afterSeq);
    if (task.lastSeq > query.afterSeq) return this.read(query);
    if (isTerminalStatus(task.status) || query.waitTimeoutMs <= 0) return resultOf(query, [], false);
    return this.waitForMore(task, query);
  }

  private async waitForMore(task: TaskRecord, query: PollEventsQuery): Promise<PollEventsResult> {
    this.drain.assertOpen();
    const tail = this.tails.watch(task.taskId, query.afterSeq, task.lastSeq);
    const wait = new PollWait(tail, query.afterSeq, performance.now() + query.waitTimeoutMs);
    this.ticker.add(wait);
    this.drain.add(wait);
    try {
      await wait.until(query.signal);
      const batch = tail.next(query.afterSeq, query.maxEvents);
      return resultOf(query, batch?.frames ?? [], (batch?.toSeq ?? tail.lastSeq) < tail.lastSeq);
    } finally {
      this.drain.remove(wait);
      this.ticker.remove(wait);
      this.tails.release(tail);
    }
  }

  /** One more row than asked for tells whether more exist. */
  private async read(query: PollEventsQuery): Promise<PollEventsResult> {
    const rows = await this.events.listAfter(query.taskId, query.afterSeq, query.maxEvents + 1);
    const frames = rows.slice(0, query.maxEvents).map((row) => new EventFrame(row));
    return resultOf(query, frames, rows.length > query.maxEvents);
  }
}

function resultOf(query: PollEventsQuery, frames: readonly EventFrame[], hasMore: boolean): PollEventsResult {
  const lastSeq = frames.at(-1)?.seq ?? query.afterSeq;
  return {
    taskId: query.taskId,
    events: frames.map((frame) => frame.toEvent()),
    nextAfterEventId: lastSeq === 0 ? null : formatEventId(lastSeq),
    hasMore,
  };
}
