import { parseCursor } from '@taskbridge/protocol';
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

/**
 * What is remembered of each task: the last event its consumer has taken, and the questions that are answered. A store
 * that fails, or that does not answer in time, costs repeated events after a restart, never the stream.
 */
export class Checkpoints {
  /** Tasks with a reader that keeps a checkpoint, if only after its first event. */
  readonly reading = new Set<string>();
  private readonly pending = new Set<{ taskId: string; hasTaskEnded: boolean }>();
  /** The last change of each task's answers, as long as it is under way. */
  private readonly writing = new Map<string, Promise<void>>();

  constructor(
    private readonly store: CheckpointStore,
    private readonly namespace: string,
    private readonly diagnostics: DiagnosticsListener,
    /** How long a call of the store is waited for. */
    private readonly timeoutMs: number,
  ) {}

  /** `undefined` when there is none, or nothing that could be one. */
  async lastEventId(taskId: string, signal?: AbortSignal): Promise<string | undefined> {
    const text = await this.attempt('load', taskId, () => this.store.getItem(this.cursorKey(taskId)), signal);
    return text && parseCursor(text) !== null ? text : undefined;
  }

  /** Resolves when it is stored. */
  async save(taskId: string, lastEventId: string, signal?: AbortSignal): Promise<void> {
    await this.attempt('save', taskId, () => this.store.setItem(this.cursorKey(taskId), lastEventId), signal);
  }

  async isAnswered(taskId: string, suspendId: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.answered(taskId, signal)).includes(suspendId);
  }

  beginAnswer(taskId: string): PendingAnswer {
    const answer = { taskId, hasTaskEnded: false };
    this.pending.add(answer);
    return {
      acknowledge: (suspendId, signal) => {
        const stored = this.inTurn(taskId, async () => {
          if (answer.hasTaskEnded) return;
          const all = new Set([...(await this.answered(taskId)), suspendId]);
          const key = this.answersKey(taskId);
          await this.attempt('save', taskId, () => this.store.setItem(key, JSON.stringify([...all])));
        });
        return raced(stored, signal).catch(() => undefined);
      },
      forget: () => this.pending.delete(answer),
    };
  }

  /** After the end of the task. */
  async clear(taskId: string, signal?: AbortSignal): Promise<void> {
    await this.clearAnswers(taskId, signal);
    await this.clearCursor(taskId, signal);
  }

  async clearCursor(taskId: string, signal?: AbortSignal): Promise<void> {
    await this.attempt('clear', taskId, () => this.store.removeItem(this.cursorKey(taskId)), signal);
  }

  /** The same for a reader that keeps no checkpoint: one that does clears the answers with its own. */
  async clearUnread(taskId: string, signal?: AbortSignal): Promise<void> {
    if (!this.reading.has(taskId) && !(await this.lastEventId(taskId, signal))) await this.clearAnswers(taskId, signal);
  }

  private async clearAnswers(taskId: string, signal?: AbortSignal): Promise<void> {
    for (const answer of this.pending) answer.hasTaskEnded ||= answer.taskId === taskId;
    const work = (): Promise<void> =>
      this.attempt('clear', taskId, () => this.store.removeItem(this.answersKey(taskId)));
    await raced(this.inTurn(taskId, work), signal);
  }

  private async answered(taskId: string, signal?: AbortSignal): Promise<string[]> {
    const text = await this.attempt('load', taskId, () => this.store.getItem(this.answersKey(taskId)), signal);
    try {
      const list: unknown = JSON.parse(text ?? '[]');
      return Array.isArray(list) ? list : [];
    } catch {
      return [];
    }
  }

  /** `undefined` when the store fails or hangs; rejects only when the signal is aborted. */
  private async attempt<T>(
    operation: StoreOperation,
    taskId: string,
    work: () => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await limited(async () => work(), this.timeoutMs, signal);
    } catch (error) {
      signal?.throwIfAborted();
      this.diagnostics({ kind: 'store-failure', operation, taskId, error });
      return undefined;
    }
  }

  /** Adding an answer reads and writes: one at a time for each task. */
  private inTurn(taskId: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.writing.get(taskId) ?? Promise.resolve()).then(work).finally(() => {
      if (this.writing.get(taskId) === turn) this.writing.delete(taskId);
    });
    this.writing.set(taskId, turn);
    return turn;
  }

  private cursorKey(taskId: string): string {
    return `${this.namespace}:${taskId}:cursor`;
  }

  private answersKey(taskId: string): string {
    return `${this.namespace}:${taskId}:answers`;
  }
}
