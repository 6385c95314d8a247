import { abortable } from '../wait.js';
import type { WebSocketConstructor, WebSocketLike } from './web-socket.js';

/** How a socket ended; 1006 without a word from the server. */
export interface SocketClose {
  code: number;
  reason: string;
}

/**
 * A reader that is this far behind is cut off: nothing else would slow the server down. It reads what it has, and goes
 * on with a new connection from there.
 */
const MAX_UNREAD = 5_000;

/** A WebSocket whose messages wait to be read. */
export class Socket {
  private readonly webSocket: WebSocketLike & { terminate?(): void };
  private readonly unread: string[] = [];
  private hasOpened = false;
  private end: SocketClose | undefined;
  private problem = '';
  private changed: () => void = () => undefined;

  constructor(
    constructor: WebSocketConstructor,
    { address, protocols, headers }: { address: string; protocols: string[]; headers: Record<string, string> },
  ) {
    this.webSocket = new constructor(address, protocols, { headers });
    this.webSocket.onopen = () => {
      this.hasOpened = true;
      this.changed();
    };
    this.webSocket.onmessage = ({ data }: { data: unknown }) => this.receive(String(data));
    this.webSocket.onerror = ({ message }: { message?: string }) => {
      this.problem = message ?? this.problem;
    };
    this.webSocket.onclose = ({ code, reason }: SocketClose) => this.finish({ code, reason: reason || this.problem });
  }

  /** Resolves when it is open, or over already. */
  async opened(signal: AbortSignal): Promise<void> {
    while (!this.hasOpened && this.end === undefined) await this.change(signal);
  }

  send(frame: object): void {
    if (this.end === undefined) this.webSocket.send(JSON.stringify(frame));
  }

  /** The next message, or how the socket ended once all messages are read. */
  async next(signal: AbortSignal): Promise<string | SocketClose> {
    for (;;) {
      const end = this.unread.shift() ?? this.end;
      if (end !== undefined) return end;
      await this.change(signal);
    }
  }

  /** Lets go of it at once: a peer that is gone would not answer a close frame. */
  close(): void {
    if (this.end !== undefined) return;
    this.finish({ code: 1006, reason: 'closed by this side' });
    if (this.webSocket.terminate) this.webSocket.terminate();
    else this.webSocket.close();
  }

  private receive(data: string): void {
    if (this.end !== undefined) return;
    this.unread.push(data);
    if (this.unread.length >= MAX_UNREAD) this.close();
    this.changed();
  }

  private finish(end: SocketClose): void {
    this.end ??= end;
    this.changed();
  }

  private change(signal: AbortSignal): Promise<void> {
    return abortable(signal, (resolve) => {
      this.changed = resolve;
      return () => (this.changed = () => undefined);
    });
  }
}
