import type { TaskEvent } from '@taskbridge/protocol';
import type { Subscriber } from 'rxjs';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { TaskBridgeError } from '../taskbridge.errors.js';
import { FollowerSink } from './follower-sink.js';
import type { FrameBatch } from './frame-batch.js';
import { type Drainable, drainingError } from './stream-drain.js';

/** Feeds one subscriber of `events$`; an Observable has no back-pressure, so everything counts as sent at once. */
export class ObservableSink extends FollowerSink implements Drainable {
  readonly transport = 'observable';

  constructor(private readonly subscriber: Subscriber<TaskEvent>) {
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

  end(reason: StreamCloseReason): void {
    if (reason === 'terminal') this.subscriber.complete();
    else if (reason === 'shutdown') this.subscriber.error(drainingError());
    else this.subscriber.error(new TaskBridgeError('EVENT_GAP', 'Events after the cursor are no longer stored'));
  }

  terminate(): void {
    this.shutdown();
  }
}
