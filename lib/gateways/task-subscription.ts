import type { SubscriptionConfirmedFrame } from '@taskbridge/protocol';
import type { IncomingMessage } from 'node:http';
import { forgetRequestTask } from '../security/request-context.js';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import type { TaskRequestAuthorizer } from '../security/task-request-authorizer.js';
import type { TaskGap } from '../services/event-gap.service.js';
import type { WebSocketSubscriptionService } from '../services/websocket-subscription.service.js';
import type { TaskRecord } from '../stores/records.js';
import { messageOf } from '../taskbridge.errors.js';
import { toErrorResponse } from '../controllers/error-envelope.js';
import type { SubscribeFrame } from './client-frame.js';
import type { FrameSocket } from './frame-socket.js';
import { type CheckContext, decidedInTime } from './pending-check.js';
import type { SubscriptionEnd } from './subscription-end.js';
import { gapFrame, type StreamEndListener, WebSocketSink } from './websocket.sink.js';

/** What subscriptions need from their gateway. */
export interface SubscriptionContext extends CheckContext {
  readonly authorizer: TaskRequestAuthorizer;
  readonly subscriptions: WebSocketSubscriptionService;
}

/** The connection that a subscription is part of. */
export interface SubscriptionOwner {
  readonly context: SubscriptionContext;
  readonly frames: FrameSocket;
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

/**
 * One subscribe of a connection, from its frame over the checks and the stream to its end. It may last for hours and
 * there are many, so it keeps neither its frame nor the request nor the task.
 */
export class TaskSubscription implements StreamEndListener {
  private sink: WebSocketSink | undefined;
  private isUnwanted = false;

  constructor(
    private givenId: string,
    private readonly owner: SubscriptionOwner,
  ) {}

  /** As the client sent it until the task is known. */
  get taskId(): string {
    return this.givenId;
  }

  /** Checks the caller, known by the request of the upgrade, and the cursor, and starts the stream; never rejects. */
  async begin(frame: SubscribeFrame, request: IncomingMessage): Promise<void> {
    if (this.isUnwanted) return this.streamEnded('unsubscribed');
    if (!this.owner.frames.isOpen) return;
    try {
      const check = this.check(frame, request);
      const start = await decidedInTime('A subscribe', check, this.owner.context);
      if (this.isUnwanted) this.streamEnded('unsubscribed');
      else if (this.owner.frames.isOpen) this.follow(frame, start);
    } catch (error) {
      this.logFault(frame, error);
      this.owner.ended(this, { error });
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

  streamEnded(reason: StreamCloseReason): void {
    this.owner.ended(this, { reason });
  }

  private async check({ taskId, lastEventId, gap, ticket }: SubscribeFrame, request: IncomingMessage): Promise<Start> {
    const { authorizer, subscriptions } = this.owner.context;
    const task = await authorizer.authorizeTask(request, taskId, ticket);
    forgetRequestTask(request);
    const { afterSeq, isGap } = subscriptions.startOf(task, lastEventId, 'websocket');
    const found = isGap && gap ? await subscriptions.gapOf(task.taskId) : undefined;
    return { task, gap: found, afterSeq: found ? found.retainedFromSeq - 1 : afterSeq };
  }

  /** The confirmation, what is missing, and the first events leave in one packet. */
  private follow({ lastEventId, gap: gapMode, isMultiplexed }: SubscribeFrame, { task, afterSeq, gap }: Start): void {
    const { frames, context } = this.owner;
    const { taskId } = task;
    const sink = new WebSocketSink(frames, { taskId, gap: gapMode, isShared: isMultiplexed }, this);
    this.givenId = taskId;
    this.sink = sink;
    const confirmation: SubscriptionConfirmedFrame = {
      type: 'SUBSCRIPTION_CONFIRMED',
      taskId,
      replayStartedAfterEventId: lastEventId === '' ? null : lastEventId,
      live: true,
    };
    frames.together(() => {
      frames.answer(confirmation);
      if (gap) frames.answer(gapFrame(taskId, gap));
      context.subscriptions.open(task, afterSeq, sink);
    });
  }

  private logFault({ taskId, lastEventId }: SubscribeFrame, error: unknown): void {
    if (toErrorResponse(error).status !== 500) return;
    this.owner.context.logger.error({ message: `Subscribe failed: ${messageOf(error)}`, taskId, lastEventId });
  }
}
