import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { textFrame } from '../streams/websocket-framing.js';

/** `readyState` of an open socket; the constants of `ws` live on its class, which types do not import. */
const OPEN = 1;

/** Answers that may wait for a client to read them; with more, nothing is read from it either. */
const MAX_UNSENT_ANSWERS = 16;

/**
 * The writing side of one connection. Frames go to the socket below `ws`, framed already, so that followers share
 * buffers; that is safe because the server sends neither fragments nor compressed frames. Once the closing handshake has
 * begun nothing may follow it: what is written then is dropped, and the socket's end ends the streams.
 */
export class FrameSocket {
  private unsent = 0;
  private unsentAnswers = 0;
  private wroteAtMs = performance.now();
  private movedAtMs = performance.now();

  constructor(
    private readonly client: WebSocket,
    private readonly socket: Duplex,
  ) {}

  get isOpen(): boolean {
    return this.client.readyState === OPEN;
  }

  /** Nothing waits in this process for the client to read. */
  get isRead(): boolean {
    return this.socket.writableLength === 0;
  }

  /** Time since the last write, in ms. */
  idleMs(nowMs: number): number {
    return nowMs - this.wroteAtMs;
  }

  /** How long the client has taken nothing of what waits for it, in ms; 0 while nothing waits. */
  stuckMs(nowMs: number): number {
    return this.unsent === 0 ? 0 : nowMs - this.movedAtMs;
  }

  /** `sent` is called when the frames have left this process, and never if they do not. */
  write(frames: Buffer, sent: () => void): void {
    if (!this.isOpen) return;
    this.wroteAtMs = performance.now();
    if (this.unsent === 0) this.movedAtMs = this.wroteAtMs;
    this.unsent += 1;
    this.socket.write(frames, (error) => {
      if (error) return;
      this.unsent -= 1;
      this.movedAtMs = performance.now();
      sent();
    });
  }

  /** For frames that nobody waits for: a client that asks and does not read is not listened to until it has read. */
  answer(frame: object): void {
    this.unsentAnswers += 1;
    if (this.unsentAnswers > MAX_UNSENT_ANSWERS) this.client.pause();
    this.write(textFrame(JSON.stringify(frame)), () => {
      this.unsentAnswers -= 1;
      if (this.unsentAnswers === 0 && this.client.isPaused) this.client.resume();
    });
  }

  /** Everything that `work` writes leaves in one packet. */
  together(work: () => void): void {
    this.socket.cork();
    try {
      work();
    } finally {
      this.socket.uncork();
    }
  }
}
