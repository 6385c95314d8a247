import { connect, type Socket } from 'node:net';
import { type FrameCounter, SseCounter, timeIn, WebSocketCounter } from './frame-counter.js';
import { nowUs } from './load.js';

export type FollowerKind = 'sse' | 'websocket';

export interface FollowerTarget {
  kind: FollowerKind;
  port: number;
  /** Path of the SSE stream or of the WebSocket. */
  path: string;
  /** First frame of a WebSocket. */
  subscribe?: string;
  lastEventId?: string;
}

/** Told what one follower receives. */
export interface FollowerObserver {
  opened(): void;
  /** `latencyMs`: since the event was produced, where that is wanted and known. */
  received(latencyMs: number | undefined): void;
  closed(code: number | undefined): void;
}

/** Frames before the first event: the head and the first comment or the confirmation. */
const FRAMES_BEFORE = 2;

/** A client as cheap as it can be: it finds the frames of a socket, and reads the times in them where that is wanted. */
export class BenchFollower {
  private readonly socket: Socket;
  private frames = 0;

  constructor(
    private readonly target: FollowerTarget,
    private readonly observer: FollowerObserver,
    isTimed: boolean,
  ) {
    const Counter: new (...parameters: ConstructorParameters<typeof SseCounter>) => FrameCounter =
      target.kind === 'sse' ? SseCounter : WebSocketCounter;
    const counter = new Counter((text) => this.take(text), isTimed);
    this.socket = connect(target.port, '127.0.0.1', () => this.socket.write(headOf(target)));
    this.socket.setNoDelay(true);
    this.socket.on('data', (chunk) => counter.take(chunk));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => observer.closed(undefined));
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  destroy(): void {
    this.socket.destroy();
  }

  private take(text: string | undefined): void {
    this.frames += 1;
    if (this.frames === 1 && this.target.subscribe !== undefined) this.socket.write(maskedText(this.target.subscribe));
    if (this.frames === FRAMES_BEFORE) this.observer.opened();
    if (this.frames <= FRAMES_BEFORE) return;
    const producedUs = text === undefined ? undefined : timeIn(text);
    this.observer.received(producedUs === undefined ? undefined : (nowUs() - producedUs) / 1_000);
  }
}

function headOf({ kind, path, lastEventId }: FollowerTarget): string {
  const lines = [`GET ${path} HTTP/1.1`, 'Host: bench', 'Authorization: Bearer ada'];
  if (lastEventId !== undefined && kind === 'sse') lines.push(`Last-Event-ID: ${lastEventId}`);
  if (kind === 'websocket') {
    lines.push('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13');
    lines.push('Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==');
  }
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** A client's text frame, masked with zeros, which leaves the text as it is. */
function maskedText(text: string): Buffer {
  const size = Buffer.byteLength(text);
  const head = size < 126 ? Buffer.from([0x81, 0x80 | size]) : Buffer.from([0x81, 0x80 | 126, size >> 8, size & 0xff]);
  return Buffer.concat([head, Buffer.alloc(4), Buffer.from(text)]);
}
