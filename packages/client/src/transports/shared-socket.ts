import type {
  SubscriptionEndedFrame,
  WebSocketSubscribeRequest,
  WebSocketUnsubscribeRequest,
} from '@taskbridge/protocol';
import { membersOf } from '../http/refusal.js';
import { Mailbox } from './mailbox.js';
import { MAX_UNREAD, type Socket, type SocketClose } from './socket.js';

/** A message of one task, the end of its subscription, or the end of the whole socket; `null` is a sign of life. */
export type SharedMessage = string | SubscriptionEndedFrame | SocketClose | null;

/** How often the traffic of others counts as a sign of life. */
const ALIVE_EVERY_MS = 1_000;

/** How long a socket without subscriptions is kept for the next one. */
const IDLE_MS = 5_000;

/** One multiplexed WebSocket, and who reads what of it. */
export class SharedSocket {
  readonly #socket: Socket;
  /** The server takes no more subscriptions on it. */
  isFull = false;
  /** By lower-case id; `undefined` while the end of the subscription is awaited. */
  readonly #readers = new Map<string, Mailbox<SharedMessage> | undefined>();
  #over: SocketClose | undefined;
  #lastMessageAt = performance.now();
  #aliveAt = 0;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#closeWhenIdle();
    this.#read().catch(() => undefined);
  }

  get isOver(): boolean {
    return this.#socket.isOver;
  }

  /** A task can be subscribed to once at a time. */
  canTake(taskId: string): boolean {
    return !this.#socket.isOver && !this.isFull && !this.#readers.has(taskId.toLowerCase());
  }

  /** Nothing has come for so long that it is not to be trusted. */
  isSilent(livenessTimeoutMs: number): boolean {
    return this.#readers.size > 0 && performance.now() - this.#lastMessageAt > livenessTimeoutMs;
  }

  subscribe(request: WebSocketSubscribeRequest): Mailbox<SharedMessage> {
    const mailbox = new Mailbox<SharedMessage>();
    if (this.#readers.size === 0) this.#lastMessageAt = performance.now();
    this.#readers.set(request.taskId.toLowerCase(), mailbox);
    clearTimeout(this.#idle);
    if (this.#over) mailbox.push(this.#over);
    this.#socket.send({ ...request, multiplex: true });
    return mailbox;
  }

  /** Its place is free again when the server has said so. It may be another's by now, which then keeps it. */
  unsubscribe(taskId: string, mailbox: Mailbox<SharedMessage>): void {
    const key = taskId.toLowerCase();
    if (this.#readers.get(key) !== mailbox) return;
    this.#readers.set(key, undefined);
    const request: WebSocketUnsubscribeRequest = { action: 'unsubscribe', taskId };
    this.#socket.send(request);
    this.#closeWhenIdle();
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#socket.close();
    this.#end({ code: 1006, reason: 'closed here' });
  }

  async #read(): Promise<void> {
    for (;;) {
      const message = await this.#socket.next();
      this.#lastMessageAt = performance.now();
      if (typeof message !== 'string') return this.#end(message);
      this.#dispatch(message);
    }
  }

  #dispatch(message: string): void {
    const frame = membersOf(message);
    const { type, taskId } = frame;
    // What is nobody's may be anybody's.
    const keys = typeof taskId === 'string' ? [taskId.toLowerCase()] : this.#readers.keys();
    for (const key of keys) {
      if (type === 'SUBSCRIPTION_ENDED') this.#ended(key, frame as unknown as SubscriptionEndedFrame);
      else this.#deliver(key, message);
    }
    this.#sayAlive();
  }

  #deliver(key: string, message: string): void {
    const mailbox = this.#readers.get(key);
    if (mailbox === undefined) return;
    mailbox.push(message);
    if (mailbox.load < MAX_UNREAD) return;
    this.unsubscribe(key, mailbox);
    mailbox.push({ code: 1013, reason: 'too far behind' });
  }

  #ended(key: string, frame: SubscriptionEndedFrame): void {
    this.#readers.get(key)?.push(frame);
    this.#readers.delete(key);
    this.isFull = false;
    this.#closeWhenIdle();
  }

  /** The connection lives for all of them, whoever it carries something for. */
  #sayAlive(): void {
    if (this.#lastMessageAt < this.#aliveAt) return;
    this.#aliveAt = this.#lastMessageAt + ALIVE_EVERY_MS;
    for (const mailbox of this.#readers.values()) if (mailbox?.load === 0) mailbox.push(null);
  }

  #end(close: SocketClose): void {
    this.#over = close;
    for (const mailbox of this.#readers.values()) mailbox?.push(close);
    this.#readers.clear();
  }

  #closeWhenIdle(): void {
    clearTimeout(this.#idle);
    if (![...this.#readers.values()].some(Boolean)) this.#idle = setTimeout(() => this.close(), IDLE_MS);
  }
}
