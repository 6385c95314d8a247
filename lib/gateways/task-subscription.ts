import { Logger } from '@nestjs/common';
import type { SubscriptionConfirmedFrame } from '@taskbridge/protocol';
import type { IncomingMessage } from 'node:http';
import { forgetRequestTask } from '../security/request-context.js';
import type { TaskRequestAuthorizer } from '../security/task-request-authorizer.js';
import type { TaskGap } from '../services/event-gap.service.js';
import type { WebSocketSubscriptionService } from '../services/websocket-subscription.service.js';
import type { TaskRecord } from '../stores/records.js';
import { messageOf } from '../taskbridge.errors.js';
import { toErrorResponse } from '../controllers/error-envelope.js';
import type { SubscribeFrame } from './client-frame.js';
import type { FrameSocket } from './frame-socket.js';
import type { SubscriptionEnd } from './subscription-end.js';
import { gapFrame, WebSocketSink } from './websocket.sink.js';

/** What a subscription needs from its connection. */
export interface SubscriptionContext {
  readonly request: IncomingMessage;
  readonly frames: FrameSocket;
  readonly authorizer: TaskRequestAuthorizer;
  readonly subscriptions: WebSocketSubscriptionService;
  /** Called once, unless the client leaves first. */
  ended(subscription: TaskSubscription, end: SubscriptionEnd): void;
}

/** Where an accepted subscription starts. */
interface Start {
  task: TaskRecord;
  afterSeq: number;
  /** What the client asked to be told of. */
  gap: TaskGap | undefined;
}

/** One subscribe of a connection, from its frame over the checks and the stream to its end. */
export class TaskSubscription {
  private readonly logger = new Logger('TaskStreams');
  private sink: WebSocketSink | undefined;
  private isUnwanted = false;

  constructor(
    private readonly frame: SubscribeFrame,
    private readonly context: SubscriptionContext,
  ) {}

  /** As the client sent it until the task is known. */
  get taskId(): string {
    return this.sink?.taskId ?? this.frame.taskId;
  }

  /** Checks the caller and the cursor and starts the stream; never rejects. */
  async begin(): Promise<void> {
    if (this.isUnwanted) return this.end({ reason: 'unsubscribed' });
    if (!this.context.frames.isOpen) return;
    try {
      const start = await this.check();
      if (this.isUnwanted) this.end({ reason: 'unsubscribed' });
      else if (this.context.frames.isOpen) this.follow(start);
    } catch (error) {
      this.logFault(error);
      this.end({ error });
    }
  }

  /** Nothing of the task is sent afterwards; what is being checked ends without having begun. */
  unsubscribe(): void {
    this.isUnwanted = true;
    this.sink?.stop('unsubscribed');
  }

  /** The connection is about to be closed. */
  stop(reason: 'stalled' | 'shutdown'): void {
    this.sink?.stop(reason);
  }

  /** The connection has lost its client. */
  gone(): void {
    this.sink?.gone();
  }

  private async check(): Promise<Start> {
    const { authorizer, subscriptions, request } = this.context;
    const { taskId, lastEventId, ticket } = this.frame;
    const task = await authorizer.authorizeTask(request, taskId, ticket);
    forgetRequestTask(request);
    const { afterSeq, isGap } = subscriptions.startOf(task, lastEventId, 'websocket');
    const gap = isGap && this.frame.gap ? await subscriptions.gapOf(task.taskId) : undefined;
    return { task, gap, afterSeq: gap ? gap.retainedFromSeq - 1 : afterSeq };
  }

  /** The confirmation, what is missing, and the first events leave in one packet. */
  private follow({ task, afterSeq, gap }: Start): void {
    const { frames, subscriptions } = this.context;
    const { lastEventId, isMultiplexed } = this.frame;
    const sink = new WebSocketSink(frames, {
      taskId: task.taskId,
      gap: this.frame.gap,
      isShared: isMultiplexed,
      ended: (reason) => this.end({ reason }),
    });
    this.sink = sink;
    const confirmation: SubscriptionConfirmedFrame = {
      type: 'SUBSCRIPTION_CONFIRMED',
      taskId: task.taskId,
      replayStartedAfterEventId: lastEventId === '' ? null : lastEventId,
      live: true,
    };
    frames.together(() => {
      frames.answer(confirmation);
      if (gap) frames.answer(gapFrame(task.taskId, gap));
      subscriptions.open(task, afterSeq, sink);
    });
  }

  private end(end: SubscriptionEnd): void {
    this.context.ended(this, end);
  }

  private logFault(error: unknown): void {
    if (toErrorResponse(error).status !== 500) return;
    const { taskId, lastEventId } = this.frame;
    this.logger.error({ message: `Subscribe failed: ${messageOf(error)}`, taskId, lastEventId });
  }
}
