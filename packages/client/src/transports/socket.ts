import { abortable } from '../wait.js';
import { Mailbox } from './mailbox.js';
import type { SocketAddress } from './socket-identity.js';
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
export const MAX_UNREAD = 5_000;

/** A WebSocket whose messages wait to be read. */
export class Socket {
  isOver = false;
  private readonly webSocket: WebSocketLike & { terminate?(): void };
  private readonly messages = new Mailbox<string | SocketClose>();
  private hasOpened = false;
  private problem = '';
  private settled: () => void = () => undefined;

  constructor(constructor: WebSocketConstructor, { address, protocols, headers }: SocketAddress) {
    this.webSocket = new constructor(address, protocols, { headers });
    this.webSocket.onopen = () => {
      this.hasOpened = true;
      this.settled();
    };
    this.webSocket.onmessage = ({ data }: { data: unknown }) => this.receive(String(data));
    this.webSocket.onerror = ({ message }: { message?: string }) => {
      this.problem = message ?? this.problem;
    };
    this.webSocket.onclose = ({ code, reason }: SocketClose) => this.finish({ code, reason: reason || this.problem });
  }

  /** Resolves when it is open, or over already. */
  async opened(signal: AbortSignal): Promise<void> {
    if (this.hasOpened || this.isOver) return;
    await abortable<void>(signal, (resolve) => {
      this.settled = () => resolve();
      return () => (this.settled = () => undefined);
    });
  }

  send(frame: object): void {
    if (!this.isOver) this.webSocket.send(JSON.stringify(frame));
  }

  /** The next message, or how the socket ended once all messages are read. */
  next(signal: AbortSignal): Promise<string | SocketClose> {
    return this.messages.next(signal);
  }

  /** Lets go of it at once: a peer that is gone would not answer a close frame. */
  close(): void {
    if (this.isOver) return;
    this.finish({ code: 1006, reason: 'closed here' });
    if (this.webSocket.terminate) this.webSocket.terminate();
    else this.webSocket.close();
  }

  private receive(data: string): void {
    if (this.isOver) return;
    this.messages.push(data);
    if (this.messages.size >= MAX_UNREAD) this.close();
  }

  private finish(end: SocketClose): void {
    if (this.isOver) return;
    this.isOver = true;
    this.messages.push(end);
    this.settled();
  }
}
