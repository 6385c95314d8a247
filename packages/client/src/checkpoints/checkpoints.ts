import { parseCursor, type TaskSnapshot } from '@taskbridge/protocol';
import { throwIfAborted } from '../abort.js';
import type { Diagnostic, DiagnosticsListener } from '../diagnostics.js';
import { limited, raced } from '../wait.js';
import type { CheckpointStore } from './checkpoint-store.js';

type StoreOperation = Extract<Diagnostic, { kind: 'store-failure' }>['operation'];

/** An answer on its way to the server. */
export interface PendingAnswer {
  /** The server has it: its question is not asked again. Resolves when that is stored, at the latest with the signal. */
  acknowledge(suspendId: string, signal?: AbortSignal): Promise<void>;
  /** Nothing more comes of it. */
  forget(): void;
}

export interface CheckpointsOptions {
  store: CheckpointStore;
  namespace: string;
  diagnostics: DiagnosticsListener;
  /** How long a call of the store is waited for. */
  timeoutMs: number;
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
  /** Tasks with a reader that keeps a checkpoint, if only after its first event. */
  readonly reading = new Set<string>();
  private readonly pending = new Set<{ taskId: string; hasTaskEnded: boolean }>();

  constructor(private readonly options: CheckpointsOptions) {}

  /** `undefined` when there is none, or nothing that could be one. */
  async lastEventId(taskId: string, signal?: AbortSignal): Promise<string | undefined> {
    const text = await this.get(taskId, 'cursor', signal);
    return text && parseCursor(text) !== null ? text : undefined;
  }

  /** Resolves when it is stored. */
  save(taskId: string, lastEventId: string, signal?: AbortSignal): Promise<void> {
    return this.set(taskId, 'cursor', lastEventId, signal);
  }

  async isAnswered(taskId: string, suspendId: string, signal?: AbortSignal): Promise<boolean> {
    return Boolean(await this.get(taskId, answer(suspendId), signal));
  }

  beginAnswer(taskId: string): PendingAnswer {
    const pending = { taskId, hasTaskEnded: false };
    this.pending.add(pending);
    const store = async (suspendId: string): Promise<void> => {
      await this.set(taskId, 'answers', [...(await this.listed(taskId)), suspendId].join(' '));
      await this.set(taskId, answer(suspendId), 'acknowledged');
      // Nobody else clears what came after the end.
      if (pending.hasTaskEnded) await this.clearAnswers(taskId);
    };
    return {
      acknowledge: (suspendId, signal) => raced(store(suspendId), signal).catch(() => undefined),
      forget: () => this.pending.delete(pending),
    };
  }

  /** After the end of the task. */
  async clear(taskId: string, signal?: AbortSignal): Promise<void> {
    await this.clearAnswers(taskId, signal);
    await this.clearCursor(taskId, signal);
  }

  clearCursor(taskId: string, signal?: AbortSignal): Promise<void> {
    return this.remove(taskId, 'cursor', signal);
  }

  /** The same for a reader that keeps no checkpoint: one that does clears the answers with its own. */
  async clearUnread(taskId: string, signal?: AbortSignal): Promise<void> {
    if (!this.reading.has(taskId) && !(await this.lastEventId(taskId, signal))) await this.clearAnswers(taskId, signal);
  }

  private async clearAnswers(taskId: string, signal?: AbortSignal): Promise<void> {
    for (const pending of this.pending) pending.hasTaskEnded ||= pending.taskId === taskId;
    const listed = await this.listed(taskId, signal);
    if (listed.length === 0) return;
    const { snapshot, timeoutMs } = this.options;
    const known = await limited((own) => snapshot(taskId, own), timeoutMs, signal)
      .then(({ actions }) => actions.map(({ suspendId }) => suspendId))
      .catch(() => []);
    const all = new Set([...listed, ...known]);
    for (const suspendId of all) await this.remove(taskId, answer(suspendId), signal);
    await this.remove(taskId, 'answers', signal);
  }

  private async listed(taskId: string, signal?: AbortSignal): Promise<string[]> {
    return ((await this.get(taskId, 'answers', signal)) ?? '').split(' ').filter(Boolean);
  }

  private get(taskId: string, name: string, signal?: AbortSignal): Promise<string | null | undefined> {
    return this.attempt('load', taskId, (store) => store.getItem(this.key(taskId, name)), signal);
  }

  private async set(taskId: string, name: string, text: string, signal?: AbortSignal): Promise<void> {
    await this.attempt('save', taskId, (store) => store.setItem(this.key(taskId, name), text), signal);
  }

  private async remove(taskId: string, name: string, signal?: AbortSignal): Promise<void> {
    await this.attempt('clear', taskId, (store) => store.removeItem(this.key(taskId, name)), signal);
  }

  /** `undefined` when the store fails or hangs; rejects only when the signal is aborted. */
  private async attempt<T>(
    operation: StoreOperation,
    taskId: string,
    work: (store: CheckpointStore) => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const { store, timeoutMs, diagnostics } = this.options;
    try {
      return await limited(async () => work(store), timeoutMs, signal);
    } catch (error) {
      throwIfAborted(signal);
      diagnostics({ kind: 'store-failure', operation, taskId, error });
      return undefined;
    }
  }

  private key(taskId: string, name: string): string {
    return `${this.options.namespace}:${taskId}:${name}`;
  }
}

function answer(suspendId: string): string {
  return `answer:${suspendId}`;
}
