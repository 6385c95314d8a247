import { Injectable } from '@nestjs/common';
import type { GapMode, TaskEvent } from '@taskbridge/protocol';
import { Observable, type Subscriber } from 'rxjs';
import { gapError } from '../services/event-gap.service.js';
import { WebSocketSubscriptionService } from '../services/websocket-subscription.service.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { taskNotFound } from '../taskbridge.errors.js';
import { ObservableSink } from './observable.sink.js';
import { StreamDrain } from './stream-drain.js';

export interface FollowOptions {
  /** `error` ends in `EVENT_GAP`; omitted, events that are no longer stored are skipped. */
  gap?: GapMode | undefined;
}

/** A task's log as an Observable, for the host's own code; no ownership is checked. */
@Injectable()
export class TaskEventStream {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly subscriptions: WebSocketSubscriptionService,
    private readonly drain: StreamDrain,
  ) {}

  /**
   * Cold: each subscription replays the events after the cursor (omitted: from the start), goes on with live ones, in
   * order and each once, and completes after the terminal event. Errors with `TASK_NOT_FOUND`, also when the task is
   * deleted before its last event was read, `INVALID_CURSOR`, and, with `gap: 'error'`, `EVENT_GAP`; with the
   * retryable `SERVICE_UNAVAILABLE` when this process shuts down.
   */
  events$(taskId: string, afterEventId?: string | null, { gap }: FollowOptions = {}): Observable<TaskEvent> {
    return new Observable<TaskEvent>((subscriber) => {
      this.start(subscriber, taskId, afterEventId, gap).catch((error: unknown) => subscriber.error(error));
    });
  }

  private async start(
    subscriber: Subscriber<TaskEvent>,
    taskId: string,
    cursor: unknown,
    gap: GapMode | undefined,
  ): Promise<void> {
    const task = await this.registry.getTask(taskId);
    if (!task) throw taskNotFound(taskId);
    const { afterSeq, isGap } = this.subscriptions.startOf(task, cursor, 'observable');
    if (isGap && gap) throw gapError(await this.subscriptions.gapOf(taskId));
    if (subscriber.closed) return;
    const sink = new ObservableSink(taskId, subscriber, gap);
    this.drain.add(sink);
    subscriber.add(() => this.drain.remove(sink));
    const follower = this.subscriptions.open(task, afterSeq, sink);
    subscriber.add(() => follower?.close('client_gone'));
  }
}
