import { isTerminalStatus, parseCursor, type EventGap, type TaskSnapshot } from '@taskbridge/protocol';
import type { Checkpoints } from '../checkpoints/checkpoints.js';
import { TaskBridgeClientError, TaskGapError } from '../errors.js';
import { isTerminalEvent, seqOf, type TaskEvent } from '../task-events.js';
import { checked } from '../routes.js';
import type { GapListener } from './task-gap.js';
import { raced } from '../wait.js';
import { ReconnectingStream, type ReconnectingStreamOptions } from './reconnecting-stream.js';

export interface TaskObservationOptions extends Omit<ReconnectingStreamOptions, 'cursor'> {
  /** Beats the stored checkpoint. */
  lastEventId: string | undefined;
  /** `undefined`: nothing is remembered, and nothing that was is looked at. */
  checkpoints: Checkpoints | undefined;
  onGap: GapListener | undefined;
  snapshot(): Promise<TaskSnapshot>;
  /** The task has ended, and the consumer knows. */
  onEnd: (signal?: AbortSignal) => Promise<void>;
}

/** One consumer's way through a log: each event once, in order, remembered when the consumer comes back for the next. */
export class TaskObservation {
  readonly #options: TaskObservationOptions;
  #seq = 0;
  /** After which event something was missing last. */
  #holeAfter: number | undefined;
  /** The consumer knows how the task has ended. */
  #hasEnded = false;

  constructor(options: TaskObservationOptions) {
    this.#options = options;
  }

  async *events(): AsyncGenerator<TaskEvent, void> {
    const { taskId, lastEventId, checkpoints, signal, onEnd } = this.#options;
    checked(taskId);
    const stored = lastEventId === undefined ? await checkpoints?.lastEventId(taskId, signal) : undefined;
    try {
      try {
        yield* this.#from(lastEventId ?? stored);
      } catch (error) {
        if (!(await this.#hasDropped(stored, error))) throw error;
        yield* this.#from(undefined);
      }
      this.#hasEnded = true;
    } finally {
      // Who leaves with the last event in hand has aborted the signal by that.
      if (this.#hasEnded) await onEnd(signal.aborted ? undefined : signal);
    }
  }

  async *#from(lastEventId: string | undefined): AsyncGenerator<TaskEvent, void> {
    this.#seq = seqFrom(lastEventId);
    const { taskId, checkpoints } = this.#options;
    const stream = new ReconnectingStream({ ...this.#options, cursor: () => idOf(this.#seq) });
    const endReading = checkpoints?.beginReading(taskId);
    try {
      yield* this.#follow(stream);
    } finally {
      endReading?.();
      stream.close();
    }
  }

  /** True when the stored checkpoint was at fault, so that the log can be read from its start. */
  async #hasDropped(stored: string | undefined, error: unknown): Promise<boolean> {
    const { taskId, checkpoints, diagnostics, signal } = this.#options;
    const { code } = (error ?? {}) as { code?: unknown };
    if (code === 'TASK_NOT_FOUND') await checkpoints?.clear(taskId, signal);
    if (code !== 'INVALID_CURSOR' || stored === undefined || this.#seq !== parseCursor(stored)) return false;
    diagnostics({ kind: 'stale-checkpoint', taskId, lastEventId: stored, error });
    await checkpoints?.clearCursor(taskId, signal);
    return true;
  }

  /** Returns after the end of the log. */
  async *#follow(stream: ReconnectingStream): AsyncGenerator<TaskEvent, void> {
    for (;;) {
      const frame = await stream.next();
      if (frame.kind === 'end' || (frame.kind === 'event' && this.#isOldEnd(frame.event))) {
        const task = await this.#snapshot(stream);
        if (task && this.#isEndOf(task)) return;
        if (task) await stream.restart();
      } else if (frame.kind === 'gap') {
        if (await this.#skip(frame.gap)) stream.delivered();
      } else if (frame.kind === 'event' && (await this.#isNext(frame.event, stream))) {
        stream.delivered();
        const isAnswered = await this.#isAnswered(frame.event);
        this.#hasEnded = isTerminalEvent(frame.event);
        if (!isAnswered) yield frame.event;
        // The consumer has come back for more: it has taken the event.
        await this.#taken(frame.event);
        if (this.#hasEnded) return;
      }
    }
  }

  /** `undefined` when it cannot be had now: the stream begins again, like after any other failure. */
  async #snapshot(stream: ReconnectingStream): Promise<TaskSnapshot | undefined> {
    try {
      return await this.#options.snapshot();
    } catch (error) {
      await stream.restart(error);
      return undefined;
    }
  }

  #isOldEnd(event: TaskEvent): boolean {
    return isTerminalEvent(event) && seqOf(event) <= this.#seq;
  }

  /**
   * False for what the consumer has had, and for what does not follow it: that is read again. Only what is missing then
   * too is a gap that the server has not told of.
   */
  async #isNext(event: TaskEvent, stream: ReconnectingStream): Promise<boolean> {
    const seq = seqOf(event);
    if (seq > this.#seq + 1) {
      const isKnown = this.#holeAfter === this.#seq;
      this.#holeAfter = this.#seq;
      if (!isKnown) await stream.restart();
      const snapshot = isKnown ? await this.#snapshot(stream) : undefined;
      if (!snapshot) return false;
      await this.#skip({ retainedFromEventId: event.eventId, snapshot });
    }
    return seq === this.#seq + 1;
  }

  async #isAnswered(event: TaskEvent): Promise<boolean> {
    const { checkpoints, taskId, signal } = this.#options;
    if (event.type !== 'TASK_SUSPENDED' || !checkpoints) return false;
    return checkpoints.isAnswered(taskId, event.suspension.suspendId, signal);
  }

  async #taken(event: TaskEvent): Promise<void> {
    this.#seq = seqOf(event);
    const { taskId, checkpoints, signal } = this.#options;
    if (!isTerminalEvent(event)) await checkpoints?.save(taskId, event.eventId, signal);
  }

  /** False when nothing is missing after what the consumer has had. */
  async #skip(gap: EventGap): Promise<boolean> {
    const { taskId, onGap, signal } = this.#options;
    const retainedFrom = seqFrom(gap.retainedFromEventId);
    if (retainedFrom <= this.#seq + 1) return false;
    const missing = { ...gap, taskId, afterEventId: idOf(this.#seq) };
    if (!onGap) throw new TaskGapError(missing);
    const choice = await raced(onGap(missing), signal);
    const shown = choice === 'skip-to-snapshot' ? seqFrom(gap.snapshot.lastEventId ?? '') : 0;
    this.#seq = Math.max(retainedFrom - 1, shown);
    return true;
  }

  #isEndOf({ status, lastEventId }: TaskSnapshot): boolean {
    return isTerminalStatus(status) && seqFrom(lastEventId ?? '') <= this.#seq;
  }
}

function idOf(seq: number): string {
  return `${seq}-0`;
}

/** Throws for what is not a cursor, as the server would. */
function seqFrom(cursor: string | undefined): number {
  const seq = parseCursor(cursor);
  if (seq === null) throw new TaskBridgeClientError('INVALID_CURSOR', `Not an event id: ${JSON.stringify(cursor)}`);
  return seq;
}
