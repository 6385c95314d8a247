import { parseCursor, type TaskSnapshot } from '@taskbridge/protocol';
import { limited } from '../wait.js';
import { SteadyStore, type SteadyStoreOptions } from './steady-store.js';

export interface CheckpointsOptions extends SteadyStoreOptions {
  /** What the server knows of a task. */
  snapshot: (taskId: string, signal: AbortSignal) => Promise<Pick<TaskSnapshot, 'actions'>>;
}

/**
 * What is remembered of each task: the last event its consumer has taken, and the questions that are answered. A store
 * that fails, or that does not answer in time, costs repeated events after a restart, never the stream.
 *
 * Several clients may share a store, and it cannot change a text in one step. So each answer has a key of its own, which
 * nobody else writes. Their list only serves to find them at the end; what two clients lose of it by writing at the same
 * time, the server knows.
 */
export class Checkpoints {
  readonly #options: CheckpointsOptions;
  readonly #store: SteadyStore;
  readonly #readers = new Set<{ taskId: string }>();
  readonly #pending = new Set<{ taskId: string; hasTaskEnded: boolean }>();

  constructor(options: CheckpointsOptions) {
    this.#options = options;
    this.#store = new SteadyStore(options);
  }

  /** `undefined` when there is none, or nothing that could be one. */
  async lastEventId(taskId: string, signal?: AbortSignal): Promise<string | undefined> {
    const text = await this.#store.get(taskId, 'cursor', signal);
    return text && parseCursor(text) !== null ? text : undefined;
  }

  /** Resolves when it is stored. */
  save(taskId: string, lastEventId: string, signal?: AbortSignal): Promise<void> {
    return this.#store.set(taskId, 'cursor', lastEventId, signal);
  }

  /** Somebody reads who keeps a checkpoint, if only after the first event; returns how to say that it is over. */
  beginReading(taskId: string): () => void {
    const reader = { taskId };
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }

  async isAnswered(taskId: string, suspendId: string, signal?: AbortSignal): Promise<boolean> {
    return Boolean(await this.#store.get(taskId, answer(suspendId), signal));
  }

  /** What becomes of an answer, once it is stored that the server has it, and its question need not be asked again. */
  async answered<T>(taskId: string, suspendId: string, submission: Promise<T>, signal?: AbortSignal): Promise<T> {
    const pending = { taskId, hasTaskEnded: false };
    this.#pending.add(pending);
    const stored = submission
      .then(() => this.#storeAnswer(suspendId, pending))
      .finally(() => this.#pending.delete(pending));
    stored.catch(() => undefined);
    const response = await submission;
    await limited(() => stored, this.#options.timeoutMs, signal).catch(() => undefined);
    return response;
  }

  /** After the end of the task. */
  async clear(taskId: string, signal?: AbortSignal): Promise<void> {
    await this.#clearAnswers(taskId, signal);
    await this.clearCursor(taskId, signal);
  }

  clearCursor(taskId: string, signal?: AbortSignal): Promise<void> {
    return this.#store.set(taskId, 'cursor', undefined, signal);
  }

  /** The same for a reader that keeps no checkpoint: one that does clears the answers with its own. */
  async clearUnread(taskId: string, signal?: AbortSignal): Promise<void> {
    const isRead = [...this.#readers].some((reader) => reader.taskId === taskId);
    if (!isRead && !(await this.lastEventId(taskId, signal))) await this.#clearAnswers(taskId, signal);
  }

  async #storeAnswer(suspendId: string, pending: { taskId: string; hasTaskEnded: boolean }): Promise<void> {
    const { taskId } = pending;
    const listed = new Set(await this.#listed(taskId)).add(suspendId);
    await this.#store.set(taskId, 'answers', [...listed].join(' '));
    await this.#store.set(taskId, answer(suspendId), 'acknowledged');
    // Nobody else clears what came after the end.
    if (pending.hasTaskEnded) await this.#clearAnswers(taskId, undefined, listed);
  }

  async #clearAnswers(taskId: string, signal?: AbortSignal, also: Iterable<string> = []): Promise<void> {
    for (const pending of this.#pending) pending.hasTaskEnded ||= pending.taskId === taskId;
    const listed = [...also, ...(await this.#listed(taskId, signal))];
    if (listed.length === 0) return;
    const { snapshot, timeoutMs } = this.#options;
    const known = await limited((own) => snapshot(taskId, own), timeoutMs, signal)
      .then(({ actions }) => actions.map(({ suspendId }) => suspendId))
      .catch(() => []);
    const names = ['answers', ...[...listed, ...known].map(answer)];
    await Promise.all(names.map((name) => this.#store.set(taskId, name, undefined, signal)));
  }

  async #listed(taskId: string, signal?: AbortSignal): Promise<string[]> {
    return ((await this.#store.get(taskId, 'answers', signal)) ?? '').split(' ').filter(Boolean);
  }
}

function answer(suspendId: string): string {
  return `answer:${suspendId}`;
}
