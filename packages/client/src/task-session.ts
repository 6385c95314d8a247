import { abort, onAbort } from './abort.js';
import type { ObserveOptions } from './client-options.js';
import type { TaskEvent } from './task-events.js';
import { TaskEventStream } from './task-events-stream.js';
import { childOf } from './wait.js';

/** Follows one task, by the session's transports. */
type Follow = (taskId: string, options: ObserveOptions, signal: AbortSignal) => AsyncGenerator<TaskEvent, void>;

/** Observations that share a connection. Each recovers by itself, over SSE or polling where WebSockets do not pass. */
export class TaskSession {
  readonly #follow: Follow;
  readonly #disconnect: () => void;
  readonly #closing = new AbortController();

  constructor(follow: Follow, disconnect: () => void) {
    this.#follow = follow;
    this.#disconnect = disconnect;
  }

  /** As {@link TaskBridgeClient.observeTaskEvents}; a task that is observed twice has a connection of its own. */
  observeTaskEvents(taskId: string, options: ObserveOptions = {}): TaskEventStream {
    return new TaskEventStream((signal) => this.#observe(taskId, options, signal), options.signal);
  }

  /** Ends the connection, and every observation with the reason `TaskSessionClosed`. */
  close(): void {
    abort(this.#closing, Object.assign(new Error('Session closed'), { name: 'TaskSessionClosed' }));
    this.#disconnect();
  }

  async *#observe(taskId: string, options: ObserveOptions, signal: AbortSignal): AsyncGenerator<TaskEvent, void> {
    const { controller, release } = childOf(signal);
    const forget = onAbort(this.#closing.signal, (reason) => abort(controller, reason));
    try {
      yield* this.#follow(taskId, options, controller.signal);
    } finally {
      release();
      forget();
    }
  }
}
