import { CLOSE_CODES, type MultiplexHeartbeatFrame, type SubscriptionRefusalCode } from '@taskbridge/protocol';
import type { IncomingMessage } from 'node:http';
import type { RawData, WebSocket } from 'ws';
import { ReadSlots } from '../streams/read-slots.js';
import type { Drainable } from '../streams/stream-drain.js';
import type { Ticking } from '../streams/stream-ticker.js';
import { TaskBridgeError } from '../taskbridge.errors.js';
import type { WebSocketStreamSettings } from '../taskbridge.options.js';
import { type ClientFrame, parseClientFrame, type SubscribeFrame } from './client-frame.js';
import { closeOfError, closeOfStream, type CloseSignal } from './close-signal.js';
import { FrameSocket } from './frame-socket.js';
import { closeOfEnd, failedFrame, frameOfEnd, refusalFrame, type SubscriptionEnd } from './subscription-end.js';
import { type SubscriptionContext, type SubscriptionOwner, TaskSubscription } from './task-subscription.js';

/** Answers to pings that may wait for a client to read them. */
const MAX_UNREAD_PONGS = 50;

/** Subscribes of one connection that are checked at the same time; the others wait in the order they came. */
const CONCURRENT_CHECKS = 8;

const HEARTBEAT: MultiplexHeartbeatFrame = { type: 'HEARTBEAT', live: true };

/**
 * One authenticated client. Its first frame decides: either it follows one task, whose end is the connection's, or the
 * connection is multiplexed, carries any number of subscriptions over time and answers for each by frames.
 */
export class WebSocketConnection implements Ticking, Drainable, SubscriptionOwner {
  readonly frames: FrameSocket;
  private readonly subscriptions = new Map<string, TaskSubscription>();
  private checks: ReadSlots | undefined;
  private readonly settings: WebSocketStreamSettings;
  private readonly subscribeByMs: number;
  /** Let go of when nothing more has to be authorised by it: it is as large as all the rest. */
  private upgrade: IncomingMessage | undefined;
  private carries: 'nothing' | 'one' | 'many' = 'nothing';
  private unreadPongs = 0;

  constructor(
    private readonly client: WebSocket,
    upgrade: IncomingMessage,
    readonly context: SubscriptionContext,
  ) {
    this.upgrade = upgrade;
    this.settings = context.settings.streams.webSocket;
    this.subscribeByMs = performance.now() + context.settings.webSocket.subscribeTimeoutMs;
    this.frames = new FrameSocket(client, upgrade.socket);
  }

  /** Takes the client over; everything is let go of again when it closes. */
  start(): void {
    this.context.drain.add(this);
    this.context.ticker.add(this);
    this.client.on('message', (data, isBinary) => this.receive(data, isBinary));
    this.client.on('ping', () => this.countPong());
    this.client.on('error', (error) => this.context.logger.debug(`WebSocket failed: ${error.message}`));
    this.client.on('close', () => this.leave());
    if (this.context.drain.isDraining) this.shutdown();
  }

  /** Until the first subscribe, and as long as the connection is multiplexed: a single stream looks after itself. */
  tick(nowMs: number): void {
    if (this.carries === 'many') this.lookAfter(nowMs);
    else if (nowMs >= this.subscribeByMs) this.close({ code: CLOSE_CODES.tryLater, reason: 'SUBSCRIBE_TIMEOUT' });
  }

  shutdown(): void {
    this.stop('shutdown');
  }

  terminate(): void {
    this.client.terminate();
  }

  ended(subscription: TaskSubscription, end: SubscriptionEnd): void {
    this.subscriptions.delete(subscription.taskId.toLowerCase());
    const frame = this.carries === 'many' ? frameOfEnd(subscription.taskId, end) : undefined;
    if (frame) this.frames.answer(frame);
    else this.close(closeOfEnd(end, this.settings));
  }

  private receive(data: RawData, isBinary: boolean): void {
    if (!this.frames.isOpen) return;
    const frame = parseClientFrame(data, isBinary);
    if (this.carries === 'many') this.next(frame);
    else if (this.carries === 'nothing') this.first(frame);
    else this.refuse('this connection has its subscription already');
  }

  private first(frame: ClientFrame | undefined): void {
    if (frame?.action === 'malformed') return this.refuse(frame.problem);
    if (frame?.action !== 'subscribe') {
      return this.refuse('the first frame must be {"action":"subscribe","taskId":…}');
    }
    this.carries = frame.isMultiplexed ? 'many' : 'one';
    if (this.carries === 'one') this.context.ticker.remove(this);
    this.subscribe(frame);
  }

  private next(frame: ClientFrame | undefined): void {
    if (frame === undefined) return this.refuse('a frame must be {"action":"subscribe" or "unsubscribe","taskId":…}');
    if (frame.action === 'unsubscribe') this.subscriptions.get(frame.taskId.toLowerCase())?.unsubscribe();
    else if (frame.action === 'malformed') this.refuseSubscribe(frame.taskId, frame.problem);
    else if (frame.isMultiplexed) this.subscribe(frame);
    else this.refuseSubscribe(frame.taskId, 'multiplex must be true on this connection');
  }

  /** For one task only: the connection carries others. */
  private refuseSubscribe(taskId: string, problem: string): void {
    const refusal = this.refusalOf(taskId.toLowerCase());
    this.frames.answer(refusal ? refusalFrame(taskId, refusal) : failedFrame(taskId, invalidRequest(problem)));
  }

  private subscribe(frame: SubscribeFrame): void {
    // Ids may be written in capitals.
    const key = frame.taskId.toLowerCase();
    const refusal = this.refusalOf(key);
    if (refusal) return this.frames.answer(refusalFrame(frame.taskId, refusal));
    const { upgrade } = this;
    if (upgrade === undefined) return;
    const subscription = new TaskSubscription(frame.taskId, this);
    this.subscriptions.set(key, subscription);
    if (this.carries === 'one') {
      this.upgrade = undefined;
      void subscription.begin(frame, upgrade);
    } else {
      this.checks ??= new ReadSlots(CONCURRENT_CHECKS);
      void this.checks.run(() => subscription.begin(frame, upgrade));
    }
  }

  /** One that is being checked counts as well, also when it is not wanted any more. */
  private refusalOf(key: string): SubscriptionRefusalCode | undefined {
    if (this.subscriptions.has(key)) return 'ALREADY_SUBSCRIBED';
    const limit = this.context.settings.webSocket.maxSubscriptionsPerConnection;
    return this.subscriptions.size >= limit ? 'SUBSCRIPTION_LIMIT' : undefined;
  }

  private lookAfter(nowMs: number): void {
    const { stallTimeoutMs, heartbeatIntervalMs } = this.settings;
    if (this.frames.stuckMs(nowMs) >= stallTimeoutMs) this.stop('stalled');
    else if (this.frames.idleMs(nowMs) >= heartbeatIntervalMs) this.frames.answer(HEARTBEAT);
  }

  private stop(reason: 'stalled' | 'shutdown'): void {
    for (const subscription of this.subscriptions.values()) subscription.stop(reason);
    this.close(closeOfStream(reason, this.settings));
  }

  /**
   * `ws` answers pings by itself, and queues without limit what the client does not read; a close frame would only wait
   * behind it.
   */
  private countPong(): void {
    this.unreadPongs = this.frames.isRead ? 0 : this.unreadPongs + 1;
    if (this.unreadPongs > MAX_UNREAD_PONGS) this.terminate();
  }

  private refuse(message: string): void {
    this.close(closeOfError(invalidRequest(message), this.settings));
  }

  /** `ws` ends the socket by itself when the peer does not answer the close in time. */
  private close({ code, reason }: CloseSignal): void {
    this.context.ticker.remove(this);
    this.client.close(code, reason);
  }

  private leave(): void {
    this.context.ticker.remove(this);
    this.context.drain.remove(this);
    for (const subscription of this.subscriptions.values()) subscription.gone();
    this.subscriptions.clear();
  }
}

function invalidRequest(message: string): TaskBridgeError {
  return new TaskBridgeError('INVALID_REQUEST', message);
}
