import { abort } from './abort.js';
import type { ObserveOptions } from './client-options.js';
import type { TaskEvent } from './task-events.js';
import { TaskEventStream } from './task-events-stream.js';
import { childOf } from './wait.js';

/** Follows one task, by the session's transports. */
type Follow = (taskId: string, options: ObserveOptions, signal: AbortSignal) => AsyncGenerator<TaskEvent, void>;

/** Observations that share a connection. Each recovers by itself, over SSE or polling where WebSockets do not pass. */
export class TaskSession {
  private readonly observing = new Set<() => void>();
  private closed: Error | undefined;

  constructor(
    private readonly follow: Follow,
    private readonly disconnect: () => void,
  ) {}

  /** As {@link TaskBridgeClient.observeTaskEvents}; a task that is observed twice has a connection of its own. */
  observeTaskEvents(taskId: string, options: ObserveOptions = {}): TaskEventStream {
    return new TaskEventStream((signal) => this.observe(taskId, options, signal), options.signal);
  }

  /** Ends the connection, and every observation with the reason `TaskSessionClosed`. */
  close(): void {
    this.closed ??= Object.assign(new Error('Session closed'), { name: 'TaskSessionClosed' });
    for (const end of this.observing) end();
    this.disconnect();
  }

  private async *observe(
    taskId: string,
    options: ObserveOptions,
    signal: AbortSignal,
  ): AsyncGenerator<TaskEvent, void> {
    const { controller, release } = childOf(signal);
    const close = (): void => abort(controller, this.closed);
    if (this.closed) close();
    this.observing.add(close);
    try {
      yield* this.follow(taskId, options, controller.signal);
    } finally {
      release();
      this.observing.delete(close);
    }
  }
}
