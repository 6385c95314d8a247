import { abortable } from '../wait.js';
import { Mailbox } from './mailbox.js';
import type { WebSocketLike } from './web-socket.js';

/** How a socket ended; 1006 without a word from the server. */
export interface SocketClose {
  code: number;
  reason: string;
}

/**
 * A reader with this load before it is cut off: nothing else would slow the server down. It reads what it has, and goes
 * on with a new connection from there.
 */
export const MAX_UNREAD = 5_000;

/** A WebSocket whose messages wait to be read. */
export class Socket {
  readonly #webSocket: WebSocketLike & { terminate?(): void };
  readonly #messages = new Mailbox<string | SocketClose>();
  #hasOpened = false;
  #end: SocketClose | undefined;
  #settled: () => void = () => undefined;

  constructor(webSocket: WebSocketLike & { terminate?(): void }) {
    this.#webSocket = webSocket;
    webSocket.onopen = () => {
      this.#hasOpened = true;
      this.#settled();
    };
    webSocket.onmessage = ({ data }: { data: unknown }) => this.#receive(String(data));
    // An error is the end. The close that follows it has no code of the server's, and in Node 22 does not always come.
    webSocket.onerror = ({ message }: { message?: string | null }) =>
      this.#finish({ code: 1006, reason: message ?? '' });
    webSocket.onclose = ({ code, reason }: SocketClose) => this.#finish({ code, reason });
  }

  get isOver(): boolean {
    return this.#end !== undefined;
  }

  /** The upgrade was answered by 401, in the words of `ws` or React Native; others do not tell. */
  get isUnauthorized(): boolean {
    return !this.#hasOpened && /[ ']401\b/.test(this.#end?.reason ?? '');
  }

  /** Resolves when it is open, or over already; it is closed when the signal is aborted before. */
  async opened(signal: AbortSignal): Promise<void> {
    await abortable<void>(signal, (resolve) => {
      this.#settled = () => resolve();
      return () => (this.#settled = () => undefined);
    }).catch((reason: unknown) => {
      this.close();
      throw reason;
    });
  }

  send(frame: object): void {
    if (!this.isOver) this.#webSocket.send(JSON.stringify(frame));
  }

  /** The next message, or how the socket ended once all messages are read. */
  next(signal?: AbortSignal): Promise<string | SocketClose> {
    return this.#messages.next(signal);
  }

  /** Lets go of it at once: a peer that is gone would not answer a close frame. */
  close(): void {
    if (this.isOver) return;
    this.#finish({ code: 1006, reason: 'closed here' });
    if (this.#webSocket.terminate) this.#webSocket.terminate();
    else this.#webSocket.close();
  }

  #receive(data: string): void {
    if (this.isOver) return;
    this.#messages.push(data);
    if (this.#messages.load >= MAX_UNREAD) this.close();
  }

  #finish(end: SocketClose): void {
    if (this.isOver) return;
    this.#end = end;
    this.#messages.push(end);
    this.#settled();
  }
}
