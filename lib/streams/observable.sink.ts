import type { EventGap, GapMode, TaskEvent } from '@taskbridge/protocol';
import type { Subscriber } from 'rxjs';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { gapError } from '../services/event-gap.service.js';
import { TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import { FollowerSink } from './follower-sink.js';
import type { FrameBatch } from './frame-batch.js';
import { type Drainable, drainingError } from './stream-drain.js';

/** Feeds one subscriber of `events$`; an Observable has no back-pressure, so everything counts as sent at once. */
export class ObservableSink extends FollowerSink implements Drainable {
  readonly transport = 'observable';

  constructor(
    private readonly taskId: string,
    private readonly subscriber: Subscriber<TaskEvent>,
    readonly gap: GapMode | undefined,
  ) {
    super();
  }

  write(batch: FrameBatch): void {
    for (const frame of batch.frames) {
      if (this.subscriber.closed) return;
      this.subscriber.next(frame.toEvent());
    }
    this.written();
  }

  heartbeat(): void {
    this.written();
  }

  announce(gap: EventGap): void {
    this.subscriber.error(gapError(gap));
  }

  end(reason: StreamCloseReason): void {
    if (reason === 'terminal') this.subscriber.complete();
    else if (reason === 'shutdown') this.subscriber.error(drainingError());
    else if (reason === 'deleted') this.subscriber.error(taskNotFound(this.taskId));
    else this.subscriber.error(new TaskBridgeError('INTERNAL_ERROR', `The log of task ${this.taskId} has a hole`));
  }

  terminate(): void {
    this.shutdown();
  }
}
