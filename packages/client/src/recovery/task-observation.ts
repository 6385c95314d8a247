import { formatEventId, isTerminalStatus, parseCursor, type EventGap, type TaskSnapshot } from '@taskbridge/protocol';
import type { Checkpoints } from '../checkpoints/checkpoints.js';
import { TaskBridgeClientError, TaskGapError } from '../errors.js';
import { isTerminalEvent, seqOf, type TaskEvent } from '../task-events.js';
import type { GapListener } from './task-gap.js';
import { ReconnectingStream, type ReconnectingStreamOptions } from './reconnecting-stream.js';

export interface TaskObservationOptions extends Omit<ReconnectingStreamOptions, 'cursor'> {
  /** Beats the stored checkpoint. */
  lastEventId: string | undefined;
  /** `undefined`: nothing is remembered, and nothing that was is looked at. */
  checkpoints: Checkpoints | undefined;
  onGap: GapListener | undefined;
  snapshot(): Promise<TaskSnapshot>;
  /** The task has ended, and the consumer knows. */
  onEnd(): Promise<void>;
}

/** One consumer's way through a log: each event once, in order, remembered when the consumer comes back for the next. */
export class TaskObservation {
  private seq = 0;

  constructor(private readonly options: TaskObservationOptions) {}

  async *events(): AsyncGenerator<TaskEvent, void> {
    const { taskId, lastEventId, checkpoints } = this.options;
    this.seq = seqFrom(lastEventId ?? (await checkpoints?.lastEventId(taskId)));
    const stream = new ReconnectingStream({ ...this.options, cursor: () => formatEventId(this.seq) });
    try {
      yield* this.follow(stream);
    } finally {
      stream.close();
    }
    await this.options.onEnd();
  }

  /** Returns after the end of the log. */
  private async *follow(stream: ReconnectingStream): AsyncGenerator<TaskEvent, void> {
    for (;;) {
      const frame = await stream.next();
      if (frame.kind === 'end' || (frame.kind === 'event' && this.isOldEnd(frame.event))) {
        if (await this.hasEnded()) return;
        await stream.restart();
      } else if (frame.kind === 'gap') {
        if (await this.skip(frame.gap)) stream.delivered();
      } else if (frame.kind === 'event' && (await this.isNext(frame.event))) {
        stream.delivered();
        if (!(await this.isAnswered(frame.event))) yield frame.event;
        // The consumer has come back for more: it has taken the event.
        await this.taken(frame.event);
        if (isTerminalEvent(frame.event)) return;
      }
    }
  }

  private isOldEnd(event: TaskEvent): boolean {
    return isTerminalEvent(event) && seqOf(event) <= this.seq;
  }

  /** False for what the consumer has had. A hole before the event is a gap that the server has not told of. */
  private async isNext(event: TaskEvent): Promise<boolean> {
    const seq = seqOf(event);
    if (seq > this.seq + 1) {
      const snapshot = await this.options.snapshot();
      await this.skip({ retainedFromEventId: event.eventId, snapshot });
    }
    return seq === this.seq + 1;
  }

  private async isAnswered(event: TaskEvent): Promise<boolean> {
    const { checkpoints, taskId } = this.options;
    if (event.type !== 'TASK_SUSPENDED' || !checkpoints) return false;
    return checkpoints.isAnswered(taskId, event.suspension.suspendId);
  }

  private async taken(event: TaskEvent): Promise<void> {
    this.seq = seqOf(event);
    if (!isTerminalEvent(event)) await this.options.checkpoints?.save(this.options.taskId, event.eventId);
  }

  /** False when nothing is missing after what the consumer has had. */
  private async skip(gap: EventGap): Promise<boolean> {
    const { taskId, onGap } = this.options;
    const retainedFrom = seqFrom(gap.retainedFromEventId);
    if (retainedFrom <= this.seq + 1) return false;
    const missing = { ...gap, taskId, afterEventId: formatEventId(this.seq) };
    if (!onGap) throw new TaskGapError(missing);
    const choice = await onGap(missing);
    this.seq = choice === 'skip-to-snapshot' ? seqFrom(gap.snapshot.lastEventId ?? '') : retainedFrom - 1;
    return true;
  }

  private async hasEnded(): Promise<boolean> {
    const { status, lastEventId } = await this.options.snapshot();
    return isTerminalStatus(status) && seqFrom(lastEventId ?? '') <= this.seq;
  }
}

/** Throws for what is not a cursor, as the server would. */
function seqFrom(cursor: string | undefined): number {
  const seq = parseCursor(cursor);
  if (seq === null) throw new TaskBridgeClientError('INVALID_CURSOR', `Not an event id: ${JSON.stringify(cursor)}`);
  return seq;
}
