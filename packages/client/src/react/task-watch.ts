import { isTerminalStatus, type TaskSnapshot } from '@taskbridge/protocol';
import type { RequestRefusedError } from '../errors.js';
import { backoffMs, DEFAULT_BACKOFF } from '../recovery/backoff.js';
import type { SubmitActionRequest, TaskBridgeClient } from '../taskbridge-client.js';
import type { TaskSession } from '../task-session.js';
import type { TaskEvent } from '../task-events.js';
import { after, sleep } from '../wait.js';
import { emptyView, type TaskView, viewAfter, viewAfterAnswer, viewOfSnapshot } from './task-view.js';

/** What comes within this time is shown together: a long log would be copied for each of its events otherwise. */
const FRAME_MS = 16;

/** What events are observed by: a client, or a session of it for many tasks on one connection. */
export type TaskObserver = Pick<TaskSession, 'observeTaskEvents'>;

/**
 * Follows one task for as long as anybody listens, beginning with its snapshot, so that a page that was reloaded shows
 * what it showed before. It keeps what it knows while nobody does, and goes on from there.
 */
export class TaskWatch {
  readonly #client: TaskBridgeClient;
  readonly #observer: TaskObserver;
  readonly #used: (isUsed: boolean) => void;
  #view: TaskView;
  readonly #listeners = new Set<() => void>();
  #watching: AbortController | undefined;

  constructor(
    client: TaskBridgeClient,
    observer: TaskObserver,
    taskId: string,
    /** Told when somebody begins to listen, and when nobody does any more. */
    used: (isUsed: boolean) => void = () => undefined,
  ) {
    this.#client = client;
    this.#observer = observer;
    this.#used = used;
    this.#view = emptyView(taskId);
  }

  readonly current = (): TaskView => this.#view;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#watching === undefined) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  };

  /** Answers an open question; resolves with what became of the answer. */
  readonly act = async (
    action: SubmitActionRequest,
  ): Promise<Awaited<ReturnType<TaskBridgeClient['submitAction']>>> => {
    const response = await this.#client.submitAction(this.#view.taskId, action);
    this.#show(viewAfterAnswer(this.#view, action.suspendId));
    return response;
  };

  readonly cancel = (reason?: string): Promise<Awaited<ReturnType<TaskBridgeClient['cancelTask']>>> =>
    this.#client.cancelTask(this.#view.taskId, reason);

  #start(): void {
    const watching = new AbortController();
    this.#watching = watching;
    this.#used(true);
    if (this.#view.error !== undefined) this.#show({ ...this.#view, error: undefined });
    this.#follow(watching.signal).catch((error: unknown) => {
      if (!watching.signal.aborted) this.#show({ ...this.#view, error });
    });
  }

  #stop(): void {
    this.#watching?.abort();
    this.#watching = undefined;
    this.#used(false);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { taskId, lastEventId } = this.#view;
    if (lastEventId === undefined) {
      const task = await this.#firstSnapshot(signal);
      if (signal.aborted) return;
      this.#show(viewOfSnapshot(this.#view, task));
    }
    if (this.#view.status !== undefined && isTerminalStatus(this.#view.status)) return;
    let unseen: TaskEvent[] = [];
    let cancelTimer: (() => void) | undefined;
    const catchUp = (): void => {
      cancelTimer?.();
      cancelTimer = undefined;
      this.#show(viewAfter(this.#view, unseen));
      unseen = [];
    };
    const events = this.#observer.observeTaskEvents(taskId, {
      lastEventId: this.#view.lastEventId ?? '0',
      checkpoint: false,
      signal,
      onGap: ({ snapshot }) => {
        catchUp();
        this.#show(viewOfSnapshot(this.#view, snapshot));
        return 'skip-to-snapshot';
      },
    });
    try {
      for await (const event of events) {
        unseen.push(event);
        cancelTimer ??= after(FRAME_MS, catchUp);
      }
    } finally {
      catchUp();
    }
  }

  /** Tried until there is one, as the stream that follows would be; rejects when the server refuses for good. */
  async #firstSnapshot(signal: AbortSignal): Promise<TaskSnapshot> {
    for (let failures = 0; ; failures += 1) {
      try {
        return await this.#client.getTask(this.#view.taskId, { signal });
      } catch (error) {
        const { code, status, isRetryable } = (error ?? {}) as Partial<RequestRefusedError>;
        const isPassing =
          isRetryable || code === 'CONNECTION_FAILED' || (code === 'UNEXPECTED_ANSWER' && status !== 401);
        if (signal.aborted || !isPassing) throw error;
        await sleep(backoffMs(failures, DEFAULT_BACKOFF), signal);
      }
    }
  }

  #show(view: TaskView): void {
    if (view === this.#view) return;
    this.#view = view;
    for (const listener of this.#listeners) listener();
  }
}
