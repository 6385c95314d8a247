import type { EventGap, GapMode, WebSocketGapFrame, WebSocketHeartbeatFrame } from '@taskbridge/protocol';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { FollowerSink } from '../streams/follower-sink.js';
import type { FrameBatch } from '../streams/frame-batch.js';
import { textFrame } from '../streams/websocket-framing.js';

/** `readyState` of an open socket; the constants of `ws` live on its class, which types do not import. */
export const OPEN = 1;

/**
 * One subscription's writes. They go to the socket below `ws`, framed already, so that followers share buffers; that
 * is safe because the server sends neither fragments nor compressed frames. Once the closing handshake has begun
 * nothing may follow it: the write is dropped, and the socket's end ends the stream.
 */
export class WebSocketSink extends FollowerSink {
  readonly transport = 'websocket';
  private readonly flushed = (error?: Error | null): void => {
    if (!error) this.written();
  };

  constructor(
    readonly taskId: string,
    private readonly client: WebSocket,
    private readonly socket: Duplex,
    readonly gap: GapMode | undefined,
    private readonly ended: (sink: WebSocketSink, reason: StreamCloseReason) => void,
  ) {
    super();
  }

  write(batch: FrameBatch): void {
    this.send(batch.webSocket());
  }

  heartbeat(): void {
    const frame: WebSocketHeartbeatFrame = { type: 'HEARTBEAT', taskId: this.taskId, live: true };
    this.send(textFrame(JSON.stringify(frame)));
  }

  announce(gap: EventGap): void {
    this.send(textFrame(JSON.stringify(gapFrame(this.taskId, gap))));
  }

  end(reason: StreamCloseReason): void {
    this.ended(this, reason);
  }

  private send(frames: Buffer): void {
    if (this.client.readyState === OPEN) this.socket.write(frames, this.flushed);
  }
}

/** Tells a client what it cannot have any more, and what to go on with. */
export function gapFrame(taskId: string, { retainedFromEventId, snapshot }: EventGap): WebSocketGapFrame {
  return { type: 'GAP', taskId, retainedFromEventId, snapshot };
}
