import { Logger } from '@nestjs/common';
import { CLOSE_CODES, type SubscriptionConfirmedFrame } from '@taskbridge/protocol';
import type { IncomingMessage } from 'node:http';
import type { RawData, WebSocket } from 'ws';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { forgetRequestTask } from '../security/request-context.js';
import type { TaskRequestAuthorizer } from '../security/task-request-authorizer.js';
import type { WebSocketSubscriptionService } from '../services/websocket-subscription.service.js';
import type { TaskGap } from '../services/event-gap.service.js';
import type { TaskRecord } from '../stores/records.js';
import type { Drainable, StreamDrain } from '../streams/stream-drain.js';
import type { StreamTicker, Ticking } from '../streams/stream-ticker.js';
import { isTaskBridgeError, messageOf, TaskBridgeError } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { closeOfError, closeOfStream, type CloseSignal } from './close-signal.js';
import { parseSubscribe, type SubscribeFrame } from './subscribe-frame.js';
import { gapFrame, OPEN, WebSocketSink } from './websocket.sink.js';

/** Answers to pings that may wait for a client to read them. */
const MAX_UNREAD_PONGS = 50;

/** What a connection needs from its gateway. */
export interface ConnectionContext {
  readonly authorizer: TaskRequestAuthorizer;
  readonly subscriptions: WebSocketSubscriptionService;
  readonly drain: StreamDrain;
  readonly ticker: StreamTicker;
  readonly settings: TaskBridgeSettings;
}

/** An accepted subscribe. */
interface Subscription {
  task: TaskRecord;
  afterSeq: number;
  /** What the client asked to be told of. */
  gap: TaskGap | undefined;
  /** As the client sent it. */
  cursor: string | null;
  sink: WebSocketSink;
}

/** One authenticated client: waits for its subscribe frame, follows the task, and closes. */
export class WebSocketConnection implements Ticking, Drainable {
  private readonly logger = new Logger('TaskStreams');
  private readonly sinks = new Set<WebSocketSink>();
  private readonly subscribeByMs: number;
  private unreadPongs = 0;

  constructor(
    private readonly client: WebSocket,
    private readonly request: IncomingMessage,
    private readonly context: ConnectionContext,
  ) {
    this.subscribeByMs = performance.now() + context.settings.webSocket.subscribeTimeoutMs;
  }

  /** Takes the client over; everything is let go of again when it closes. */
  start(): void {
    this.context.drain.add(this);
    this.context.ticker.add(this);
    this.client.on('message', (data, isBinary) => this.receive(data, isBinary));
    this.client.on('ping', () => this.countPong());
    this.client.on('error', (error) => this.logger.debug(`WebSocket failed: ${error.message}`));
    this.client.once('close', () => this.leave());
    if (this.context.drain.isDraining) this.shutdown();
  }

  /** Only until the first subscribe. */
  tick(nowMs: number): void {
    if (nowMs >= this.subscribeByMs) this.close({ code: CLOSE_CODES.tryLater, reason: 'SUBSCRIBE_TIMEOUT' });
  }

  shutdown(): void {
    for (const sink of this.sinks) sink.shutdown();
    this.close(closeOfStream('shutdown', this.context.settings.streams.webSocket));
  }

  terminate(): void {
    this.client.terminate();
  }

  private receive(data: RawData, isBinary: boolean): void {
    if (this.client.readyState !== OPEN) return;
    this.context.ticker.remove(this);
    const frame = parseSubscribe(data, isBinary);
    if (!frame) return this.refuse('INVALID_REQUEST', 'the first frame must be {"action":"subscribe","taskId":…}');
    const isTaken = [...this.sinks].some((sink) => sink.taskId === frame.taskId);
    if (isTaken || this.sinks.size >= this.context.settings.webSocket.maxSubscriptionsPerConnection) {
      return this.refuse('INVALID_REQUEST', 'this connection has its subscription already');
    }
    const ended = (...end: [WebSocketSink, StreamCloseReason]) => this.ended(...end);
    const sink = new WebSocketSink(frame.taskId, this.client, this.request.socket, frame.gap, ended);
    this.sinks.add(sink);
    void this.subscribe(frame, sink);
  }

  /**
   * `ws` answers pings by itself, and queues without limit what the client does not read; a close frame would only wait
   * behind it.
   */
  private countPong(): void {
    this.unreadPongs = this.request.socket.writableLength === 0 ? 0 : this.unreadPongs + 1;
    if (this.unreadPongs > MAX_UNREAD_PONGS) this.terminate();
  }

  private async subscribe(frame: SubscribeFrame, sink: WebSocketSink): Promise<void> {
    try {
      const task = await this.context.authorizer.authorizeTask(this.request, frame.taskId);
      forgetRequestTask(this.request);
      const start = this.context.subscriptions.startOf(task, frame.lastEventId, 'websocket');
      const gap = start.isGap && frame.gap ? await this.context.subscriptions.gapOf(task.taskId) : undefined;
      const afterSeq = gap ? gap.retainedFromSeq - 1 : start.afterSeq;
      if (this.client.readyState === OPEN) this.follow({ task, afterSeq, gap, cursor: frame.lastEventId, sink });
    } catch (error) {
      if (!isTaskBridgeError(error)) this.logger.error({ message: `Subscribe failed: ${messageOf(error)}`, ...frame });
      this.close(closeOfError(error, this.context.settings.streams.webSocket));
    }
  }

  /** The confirmation, what is missing, and the first events leave in one packet. */
  private follow({ task, afterSeq, gap, cursor, sink }: Subscription): void {
    const confirmation: SubscriptionConfirmedFrame = {
      type: 'SUBSCRIPTION_CONFIRMED',
      taskId: task.taskId,
      replayStartedAfterEventId: cursor === '' ? null : cursor,
      live: true,
    };
    this.request.socket.cork();
    this.client.send(JSON.stringify(confirmation));
    if (gap) this.client.send(JSON.stringify(gapFrame(task.taskId, gap)));
    this.context.subscriptions.open(task, afterSeq, sink);
    this.request.socket.uncork();
  }

  /** The end of its last task ends the connection; any other end does so at once. */
  private ended(sink: WebSocketSink, reason: StreamCloseReason): void {
    this.sinks.delete(sink);
    if (reason !== 'terminal' || this.sinks.size === 0) {
      this.close(closeOfStream(reason, this.context.settings.streams.webSocket));
    }
  }

  private refuse(code: 'INVALID_REQUEST', message: string): void {
    this.close(closeOfError(new TaskBridgeError(code, message), this.context.settings.streams.webSocket));
  }

  /** `ws` ends the socket by itself when the peer does not answer the close in time. */
  private close({ code, reason }: CloseSignal): void {
    this.context.ticker.remove(this);
    this.client.close(code, reason);
  }

  private leave(): void {
    this.context.ticker.remove(this);
    this.context.drain.remove(this);
    for (const sink of this.sinks) sink.gone();
    this.sinks.clear();
  }
}
