import { Inject, Injectable, Logger } from '@nestjs/common';
import { formatEventId, parseCursor } from '@taskbridge/protocol';
import { MetricsSink } from '../observability/metrics-sink.js';
import {
  type StreamCloseReason,
  type StreamTransport,
  type TransportDiagnostic,
  TransportDiagnosticsSink,
} from '../observability/transport-diagnostics.js';
import type { TaskRecord } from '../stores/records.js';
import type { FollowerSink } from '../streams/follower-sink.js';
import type { FrameBatch } from '../streams/frame-batch.js';
import { isAtEnd, startAtCursor, type StreamStart } from '../streams/stream-cursor.js';
import { StreamDrain } from '../streams/stream-drain.js';
import {
  type FollowerGap,
  type FollowerLimits,
  type FollowerObserver,
  StreamFollower,
} from '../streams/stream-follower.js';
import { StreamTicker } from '../streams/stream-ticker.js';
import { TaskTails } from '../streams/task-tails.js';
import { isTaskBridgeError, messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { EventGapService, type TaskGap } from './event-gap.service.js';

/** Shared objects, because metrics are reported per write. */
const LABELS = {
  sse: { transport: 'sse' },
  websocket: { transport: 'websocket' },
  poll: { transport: 'poll' },
  observable: { transport: 'observable' },
} as const satisfies Record<StreamTransport, { transport: StreamTransport }>;

/**
 * One subscription of one connection, from the check of its cursor over the replay to the live end; SSE and the
 * Observable use it like the WebSocket. Whether the caller may see the task is decided before, by the guards.
 */
@Injectable()
export class WebSocketSubscriptionService implements FollowerObserver {
  private readonly logger = new Logger('TaskStreams');
  private readonly followers = new Set<StreamFollower>();
  private readonly openByTransport: Record<StreamTransport, number> = { sse: 0, websocket: 0, poll: 0, observable: 0 };
  private readonly limits: Record<'sse' | 'webSocket' | 'shared', FollowerLimits>;

  constructor(
    private readonly tails: TaskTails,
    private readonly ticker: StreamTicker,
    private readonly drain: StreamDrain,
    private readonly gaps: EventGapService,
    private readonly metrics: MetricsSink,
    private readonly diagnostics: TransportDiagnosticsSink,
    @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
  ) {
    const { sse, webSocket } = settings.streams;
    const shared = { ...webSocket, heartbeatIntervalMs: Infinity, stallTimeoutMs: Infinity };
    this.limits = { sse, webSocket, shared };
  }

  /** Streams that are open now, over all transports. */
  get openFollowers(): number {
    return this.followers.size;
  }

  /** Tasks that anybody in this process follows or waits for. */
  get watchedTasks(): number {
    return this.tails.size;
  }

  /**
   * Where a new stream starts. Throws `INVALID_CURSOR` for a malformed cursor or one past the end of the log, and
   * `SERVICE_UNAVAILABLE` while the process drains, in this order. A cursor before what is stored is a gap: it is for
   * the transport to tell its reader, if that asked for it.
   */
  startOf(task: TaskRecord, cursor: unknown, transport: StreamTransport): StreamStart {
    const start = startAtCursor(task, cursor);
    this.drain.assertOpen();
    if (start.isGap) this.countGap(transport, task, parseCursor(cursor) ?? 0);
    return start;
  }

  /** What to tell a reader whose start is a gap and that asked for it. Rejects with `TASK_NOT_FOUND`. */
  gapOf(taskId: string): Promise<TaskGap> {
    return this.gaps.describe(taskId);
  }

  /**
   * Starts to send what follows `afterSeq` to the sink, until the terminal event, the peer's end or a failure. With a
   * cursor that is already at the end the sink is ended at once and there is nothing to close.
   */
  open(task: TaskRecord, afterSeq: number, sink: FollowerSink): StreamFollower | undefined {
    if (isAtEnd(task, afterSeq)) {
      sink.end('terminal');
      return undefined;
    }
    const limits = this.limits[sink.transport === 'sse' ? 'sse' : sink.isShared ? 'shared' : 'webSocket'];
    const tail = this.tails.watch(task.taskId, afterSeq, task.lastSeq);
    const follower = new StreamFollower(tail, sink, afterSeq, limits, this);
    this.followers.add(follower);
    this.ticker.add(follower);
    this.countOpen(sink.transport, 1);
    this.report({ kind: 'replay_start', transport: sink.transport, taskId: task.taskId, afterSeq });
    follower.pump();
    return follower;
  }

  async gapAfter({ tail: { taskId }, seq, sink }: StreamFollower): Promise<FollowerGap | undefined> {
    try {
      const gap = sink.gap
        ? await this.gaps.describe(taskId)
        : { retainedFromSeq: await this.gaps.retainedFrom(taskId) };
      if (gap.retainedFromSeq > seq + 1) this.countGap(sink.transport, { taskId, ...gap }, seq);
      return gap;
    } catch (error) {
      if (isTaskBridgeError(error) && error.code === 'TASK_NOT_FOUND') return undefined;
      throw error;
    }
  }

  delivered({ tail, sink: { transport } }: StreamFollower, { fromSeq, toSeq, frames }: FrameBatch): void {
    this.metrics.count('taskbridge_stream_events_total', frames.length, LABELS[transport]);
    this.report({ kind: 'delivery', transport, taskId: tail.taskId, fromSeq, toSeq });
  }

  beat({ tail, seq, sink: { transport } }: StreamFollower): void {
    this.report({ kind: 'heartbeat', transport, taskId: tail.taskId, seq });
  }

  closed(follower: StreamFollower, reason: StreamCloseReason): void {
    const { tail, seq, sink } = follower;
    this.followers.delete(follower);
    this.ticker.remove(follower);
    this.tails.release(tail);
    this.countOpen(sink.transport, -1);
    this.metrics.count('taskbridge_streams_closed_total', 1, { ...LABELS[sink.transport], reason });
    this.report({ kind: 'disconnect', transport: sink.transport, taskId: tail.taskId, seq, reason });
    this.logger.debug({
      message: 'Stream closed',
      transport: sink.transport,
      taskId: tail.taskId,
      eventId: formatEventId(seq),
      reason,
    });
  }

  readFailed({ tail, seq }: StreamFollower, error: unknown): void {
    this.logger.warn({
      message: `Could not read the log, trying again: ${messageOf(error)}`,
      taskId: tail.taskId,
      eventId: formatEventId(seq),
    });
  }

  private countGap(
    transport: StreamTransport,
    { taskId, retainedFromSeq }: Pick<TaskRecord, 'taskId' | 'retainedFromSeq'>,
    afterSeq: number,
  ): void {
    this.metrics.count('taskbridge_stream_gaps_total', 1, LABELS[transport]);
    this.report({ kind: 'gap', transport, taskId, afterSeq, retainedFromSeq });
  }

  private countOpen(transport: StreamTransport, change: 1 | -1): void {
    this.openByTransport[transport] += change;
    this.metrics.gauge('taskbridge_streams_open', this.openByTransport[transport], LABELS[transport]);
  }

  /** A host's sink that throws must not end anybody's stream. */
  private report(diagnostic: TransportDiagnostic): void {
    try {
      this.diagnostics.report(diagnostic);
    } catch (error) {
      this.logger.error(`The diagnostics sink failed: ${messageOf(error)}`);
    }
  }
}
