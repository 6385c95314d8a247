import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import type { TaskGap } from '../services/event-gap.service.js';
import type { FollowerSink, SinkOwner } from './follower-sink.js';
import type { FrameBatch } from './frame-batch.js';
import type { Ticking } from './stream-ticker.js';
import type { TailFollower, TaskTail } from './task-tail.js';

export interface FollowerLimits {
  liveBatchSize: number;
  replayBatchSize: number;
  heartbeatIntervalMs: number;
  stallTimeoutMs: number;
}

/** What is missing after a follower's cursor: only the start of what is left, or everything its peer wants to know. */
export type FollowerGap = Pick<TaskGap, 'retainedFromSeq'> | TaskGap;

/** Told what a follower does; the service behind it measures and cleans up. */
export interface FollowerObserver {
  /** The log does not go on at the follower's cursor. `undefined`: the task is gone. */
  gapAfter(follower: StreamFollower): Promise<FollowerGap | undefined>;
  delivered(follower: StreamFollower, batch: FrameBatch): void;
  beat(follower: StreamFollower): void;
  closed(follower: StreamFollower, reason: StreamCloseReason): void;
  readFailed(follower: StreamFollower, error: unknown): void;
}

/** Pause after a failed read of the log; the stream stays open meanwhile. */
const READ_RETRY_MS = 1_000;

/**
 * One client following one task: a cursor and at most one unsent batch. It pulls: the next batch is taken when the
 * previous one has left, from the shared tail if that reaches back to the cursor, from the log otherwise.
 */
export class StreamFollower implements Ticking, SinkOwner, TailFollower {
  private state: 'idle' | 'writing' | 'reading' | 'closed' = 'idle';
  private pumping = false;
  private ending = false;
  private replayed: FrameBatch[] = [];
  private writtenAtMs = performance.now();
  private retryAtMs = Infinity;

  constructor(
    readonly tail: TaskTail,
    readonly sink: FollowerSink,
    private cursor: number,
    private readonly limits: FollowerLimits,
    private readonly observer: FollowerObserver,
  ) {
    sink.attach(this);
    tail.attach(this);
  }

  /** Number of the last event handed to the transport. */
  get seq(): number {
    return this.cursor;
  }

  get isClosed(): boolean {
    return this.state === 'closed';
  }

  /** Sends whatever is due; called once to start, and whenever something may have become due. */
  pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    try {
      while (this.state === 'idle' && this.step());
    } finally {
      this.pumping = false;
    }
  }

  written(): void {
    if (this.state === 'writing') this.state = 'idle';
    this.pump();
  }

  gone(): void {
    this.close('client_gone');
  }

  tick(nowMs: number): void {
    if (this.state === 'writing') {
      if (nowMs - this.writtenAtMs >= this.limits.stallTimeoutMs) this.close('stalled');
      return;
    }
    if (nowMs >= this.retryAtMs) this.retry();
    if (nowMs - this.writtenAtMs >= this.limits.heartbeatIntervalMs) this.beat(nowMs);
  }

  /** Idempotent: the first reason counts. */
  close(reason: StreamCloseReason): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.replayed = [];
    this.tail.detach(this);
    this.observer.closed(this, reason);
    if (reason !== 'client_gone') this.sink.end(reason);
  }

  /** Takes one step; `false` when there is nothing to do until something happens. */
  private step(): boolean {
    if (this.ending) {
      this.close('terminal');
      return false;
    }
    const batch = this.replayed.shift() ?? this.tail.next(this.cursor, this.limits.liveBatchSize);
    if (batch) this.send(batch);
    else if (this.cursor < this.tail.lastSeq) void this.replay();
    else if (this.tail.isGone) this.close('deleted');
    else return false;
    return true;
  }

  private send(batch: FrameBatch): void {
    this.state = 'writing';
    this.cursor = batch.toSeq;
    this.ending = batch.isTerminal;
    this.writtenAtMs = performance.now();
    this.observer.delivered(this, batch);
    this.sink.write(batch);
  }

  private async replay(): Promise<void> {
    this.state = 'reading';
    try {
      const batches = await this.tail.page(this.cursor, this.limits.replayBatchSize);
      if (batches[0]?.fromSeq === this.cursor + 1) this.take(batches);
      else this.cross(await this.observer.gapAfter(this));
    } catch (error) {
      this.retryAtMs = performance.now() + READ_RETRY_MS;
      this.observer.readFailed(this, error);
    }
  }

  private take(batches: readonly FrameBatch[]): void {
    if (this.state !== 'reading') return;
    this.state = 'idle';
    this.replayed = [...batches];
    this.pump();
  }

  /** Goes on with the oldest event that is left; a hole that retention did not make is never skipped. */
  private cross(gap: FollowerGap | undefined): void {
    if (this.state !== 'reading') return;
    if (!gap) return this.close('deleted');
    if (gap.retainedFromSeq <= this.cursor + 1) return this.close('error');
    this.cursor = gap.retainedFromSeq - 1;
    this.state = 'idle';
    if ('snapshot' in gap) this.announce(gap);
    this.pump();
  }

  private announce(gap: TaskGap): void {
    this.state = 'writing';
    this.writtenAtMs = performance.now();
    this.sink.announce(gap);
  }

  private retry(): void {
    this.retryAtMs = Infinity;
    this.state = 'idle';
    this.pump();
  }

  /** While a read fails the stream is alive all the same, so it may beat; the beat must not end the wait. */
  private beat(nowMs: number): void {
    this.writtenAtMs = nowMs;
    this.observer.beat(this);
    const before = this.state;
    if (before === 'idle') this.state = 'writing';
    this.sink.heartbeat(this.cursor);
  }
}
