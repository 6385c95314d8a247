import type { TaskEvent } from './task-events.js';
import { childOf } from './wait.js';

/** What RxJS and other libraries give to `subscribe`. */
export interface EventObserver {
  next?(event: TaskEvent): void | Promise<void>;
  error?(error: unknown): void;
  complete?(): void;
}

/**
 * A task's events, each once and in order, to the end of the task. Every iteration, and every subscription, follows the
 * log by itself. An event counts as taken when the next one is asked for; leaving the loop leaves it untaken, so that it
 * comes again. The last one of a task counts as taken then too, because nothing follows that could be asked for: the
 * checkpoint goes. A loop that is left by `throw` looks the same, so what has to be done about an end is done before.
 */
export class TaskEventStream implements AsyncIterable<TaskEvent> {
  readonly #follow: (signal: AbortSignal) => AsyncGenerator<TaskEvent, void>;
  readonly #signal: AbortSignal | undefined;

  constructor(follow: (signal: AbortSignal) => AsyncGenerator<TaskEvent, void>, signal: AbortSignal | undefined) {
    this.#follow = follow;
    this.#signal = signal;
    // Where libraries look for an observable: RxJS's `from` does, and can then leave at once.
    const name = (Symbol as { observable?: symbol }).observable ?? '@@observable';
    Object.defineProperty(this, name, { value: () => this, configurable: true });
  }

  [Symbol.asyncIterator](): AsyncIterator<TaskEvent, void> & { return(): Promise<IteratorResult<TaskEvent, void>> } {
    const { controller, release } = childOf(this.#signal);
    const events = this.#follow(controller.signal);
    let hasLeft = false;
    return {
      next: async () => {
        try {
          const result = await events.next();
          if (result.done) release();
          return result;
        } catch (error) {
          release();
          if (hasLeft) return { done: true, value: undefined };
          throw error;
        }
      },
      // A generator that is waiting could not be told by its own `return`.
      return: async () => {
        hasLeft = true;
        controller.abort();
        release();
        await events.return().catch(() => undefined);
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Calls the observer with each event until the task ends or the subscription does. What `next` returns is awaited, and
   * the event taken then. RxJS returns at once: what its operators do later is not waited for. Without `error`, what goes
   * wrong is an unhandled rejection, unless it is the observation's own signal.
   */
  subscribe(observer: EventObserver | NonNullable<EventObserver['next']>): { unsubscribe(): void } {
    const events = this[Symbol.asyncIterator]();
    let isOpen = true;
    const unsubscribe = (): void => {
      isOpen = false;
      void events.return();
    };
    const deliver = async (to: EventObserver): Promise<void> => {
      try {
        for (;;) {
          const step = await events.next();
          if (!isOpen) return;
          if (step.done) break;
          await to.next?.(step.value);
        }
      } catch (failure) {
        unsubscribe();
        // Nobody else would hear of it.
        if (!to.error && !this.#signal?.aborted) throw failure;
        return to.error?.(failure);
      }
      to.complete?.();
    };
    void deliver(typeof observer === 'function' ? { next: observer } : observer);
    return { unsubscribe };
  }
}
