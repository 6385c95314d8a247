import { Logger } from '@nestjs/common';
import { isTerminalEventType } from '@taskbridge/protocol';
import type { MetricsSink } from '../observability/metrics-sink.js';
import type { WakeUps } from '../streams/wake-ups.js';
import { messageOf, TaskBridgeError } from '../taskbridge.errors.js';
import { type AppendVerdict, appendRefusal, appendResult } from './append-command.js';
import type { AppendConnection, SentMode } from './append-connection.js';
import { failureKind } from './append-failure.js';
import type { AppendQueue, QueuedAppend } from './append-queue.js';
import type { LogEvent } from './records.js';

/** `locked`: the rows are locked before the append, in a transaction of its own. */
type FlushMode = SentMode | 'locked';

/** How long the lane tries to reach the database before it gives up what it holds, in ms. */
const OUTAGE_LIMIT_MS = 30_000;
/** The same while the process stops. */
const DRAIN_OUTAGE_LIMIT_MS = 5_000;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1_000;

/** Brings one flush to its end, whatever happens to the statement: every append is settled or parked afterwards. */
export class AppendDelivery {
  /** Shortens the patience with a database that is out of reach. */
  isDraining = false;
  private readonly logger = new Logger('AppendLane');
  private outageSince: number | undefined;

  constructor(
    private readonly connection: AppendConnection,
    private readonly queue: AppendQueue,
    private readonly wakeUps: WakeUps,
    private readonly metrics: MetricsSink,
  ) {}

  async deliver(appends: readonly QueuedAppend[], mode: FlushMode = modeOf(appends)): Promise<void> {
    // Splitting a flush may have parked a task whose later appends are in this part.
    const sent = appends.filter((append) => !this.queue.parkIfHeld(append));
    if (sent.length === 0) return;
    let verdicts: AppendVerdict[];
    try {
      verdicts = await this.flush(sent, mode);
    } catch (error) {
      return this.recover(sent, mode, error);
    }
    this.outageSince = undefined;
    const again = this.settle(sent, verdicts);
    if (again.length > 0) await this.deliver(again, mode === 'plain' ? 'wait' : 'locked');
  }

  /** Rejects with `SERVICE_UNAVAILABLE` where a repeat may succeed, else `INTERNAL_ERROR`. */
  rejectAll(appends: readonly QueuedAppend[], cause: unknown): void {
    const code =
      failureKind(cause) === 'final' || failureKind(cause) === 'input' ? 'INTERNAL_ERROR' : 'SERVICE_UNAVAILABLE';
    for (const { taskId, type, reject } of appends) {
      reject(new TaskBridgeError(code, `Task ${taskId}: ${type} could not be logged`, { cause }));
    }
  }

  private async flush(appends: readonly QueuedAppend[], mode: FlushMode): Promise<AppendVerdict[]> {
    const startedAt = performance.now();
    const verdicts =
      mode === 'locked' ? await this.connection.appendLocked(appends) : await this.connection.append(appends, mode);
    this.metrics.observe('taskbridge_append_flush_seconds', (performance.now() - startedAt) / 1_000);
    this.metrics.observe('taskbridge_append_flush_events', appends.length);
    return verdicts;
  }

  private async recover(appends: readonly QueuedAppend[], mode: FlushMode, error: unknown): Promise<void> {
    const kind = failureKind(error);
    if (kind === 'transient') return this.retryAfterPause(appends, mode, error);
    if (kind === 'locked' && (mode === 'wait' || mode === 'plain')) return this.deliver(appends, 'skip');
    if (kind === 'locked') return appends.forEach((append) => this.queue.park(append));
    if (kind === 'input' && appends.length > 1) {
      const middle = Math.ceil(appends.length / 2);
      await this.deliver(appends.slice(0, middle), mode);
      return this.deliver(appends.slice(middle), mode);
    }
    this.rejectAll(appends, error);
  }

  /** Whether the lost statement was applied does not matter: numbers and ids make its repeat a duplicate. */
  private async retryAfterPause(appends: readonly QueuedAppend[], mode: FlushMode, error: unknown): Promise<void> {
    if (this.outageSince === undefined) {
      this.outageSince = performance.now();
      this.logger.warn({ message: 'Appending failed, trying again', reason: messageOf(error) });
    }
    const outageMs = performance.now() - this.outageSince;
    const limitMs = this.isDraining ? DRAIN_OUTAGE_LIMIT_MS : OUTAGE_LIMIT_MS;
    if (this.connection.isAbandoned || outageMs >= limitMs) return this.giveUp(appends, error);
    await sleep(Math.min(MAX_PAUSE_MS, Math.max(FIRST_PAUSE_MS, outageMs)));
    return this.deliver(appends, mode);
  }

  private giveUp(appends: readonly QueuedAppend[], error: unknown): void {
    this.outageSince = undefined;
    const lost = [...appends, ...this.queue.takeAll()];
    this.logger.error({ message: 'The database stayed out of reach', appends: lost.length, reason: messageOf(error) });
    this.rejectAll(lost, error);
  }

  /** Publishes, then settles; returns those that have to be sent again. */
  private settle(appends: readonly QueuedAppend[], verdicts: readonly AppendVerdict[]): QueuedAppend[] {
    this.publish(appends, verdicts);
    const again = appends.length === verdicts.length ? [] : withoutVerdict(appends, verdicts);
    for (const verdict of verdicts) {
      const append = appends[verdict.index];
      if (append === undefined) continue;
      if (verdict.outcome === 'APPENDED' || verdict.outcome === 'DUPLICATE') append.resolve(appendResult(verdict));
      else if (verdict.outcome === 'STALE') again.push(append);
      else if (verdict.outcome === 'TASK_BUSY') this.queue.park(append);
      else this.refuse(append, verdict);
    }
    return again;
  }

  private publish(appends: readonly QueuedAppend[], verdicts: readonly AppendVerdict[]): void {
    const events: LogEvent[] = [];
    for (const { index, outcome, seq, createdAt } of verdicts) {
      const append = appends[index];
      if (append === undefined || outcome !== 'APPENDED') continue;
      const { taskId, type, payloadJson } = append;
      events.push({ taskId, seq, type, createdAt, payloadJson });
      if (isTerminalEventType(type)) this.metrics.count('taskbridge_tasks_finished_total', 1, { type });
    }
    if (events.length === 0) return;
    this.metrics.count('taskbridge_events_appended_total', events.length);
    try {
      this.wakeUps.publishEvents(events);
    } catch (error) {
      this.logger.error({ message: 'Waking followers failed', reason: messageOf(error) });
    }
  }

  private refuse(append: QueuedAppend, { outcome }: AppendVerdict): void {
    this.metrics.count('taskbridge_append_refusals_total', 1, { outcome });
    append.reject(appendRefusal(append, outcome));
  }
}

function modeOf(appends: readonly QueuedAppend[]): FlushMode {
  return appends.every(({ isPlain }) => isPlain) ? 'plain' : 'wait';
}

function withoutVerdict(appends: readonly QueuedAppend[], verdicts: readonly AppendVerdict[]): QueuedAppend[] {
  const judged = new Set(verdicts.map(({ index }) => index));
  return appends.filter((_, index) => !judged.has(index));
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
