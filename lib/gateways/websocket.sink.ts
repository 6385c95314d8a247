import type { EventGap, GapMode, WebSocketGapFrame, WebSocketHeartbeatFrame } from '@taskbridge/protocol';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { FollowerSink } from '../streams/follower-sink.js';
import type { FrameBatch } from '../streams/frame-batch.js';
import { textFrame } from '../streams/websocket-framing.js';
import type { FrameSocket } from './frame-socket.js';

export interface WebSocketSinkOptions {
  taskId: string;
  gap: GapMode | undefined;
  /** The connection carries other subscriptions as well. */
  isShared: boolean;
}

/** Told once that nothing more will be written. */
export interface StreamEndListener {
  streamEnded(reason: StreamCloseReason): void;
}

/** One subscription's writes. */
export class WebSocketSink extends FollowerSink {
  readonly transport = 'websocket';
  readonly gap: GapMode | undefined;
  override readonly isShared: boolean;
  private readonly taskId: string;
  private readonly sent = (): void => this.written();

  constructor(
    private readonly frames: FrameSocket,
    { taskId, gap, isShared }: WebSocketSinkOptions,
    private readonly listener: StreamEndListener,
  ) {
    super();
    this.taskId = taskId;
    this.gap = gap;
    this.isShared = isShared;
  }

  write(batch: FrameBatch): void {
    this.frames.write(batch.webSocket(), this.sent);
  }

  heartbeat(): void {
    const frame: WebSocketHeartbeatFrame = { type: 'HEARTBEAT', taskId: this.taskId, live: true };
    this.frames.write(textFrame(JSON.stringify(frame)), this.sent);
  }

  announce(gap: EventGap): void {
    this.frames.write(textFrame(JSON.stringify(gapFrame(this.taskId, gap))), this.sent);
  }

  /** Ends the stream for a reason of the connection's. */
  stop(reason: 'unsubscribed' | 'stalled' | 'shutdown'): void {
    this.close(reason);
  }

  end(reason: StreamCloseReason): void {
    this.listener.streamEnded(reason);
  }
}

/** Tells a client what it cannot have any more, and what to go on with. */
export function gapFrame(taskId: string, { retainedFromEventId, snapshot }: EventGap): WebSocketGapFrame {
  return { type: 'GAP', taskId, retainedFromEventId, snapshot };
}
