import { parseCursor } from '@taskbridge/protocol';
import type { Diagnostic, DiagnosticsListener } from '../diagnostics.js';
import type { CheckpointStore } from './checkpoint-store.js';

type StoreOperation = Extract<Diagnostic, { kind: 'store-failure' }>['operation'];

/** An answer on its way to the server. */
export interface PendingAnswer {
  /** The server has it: its question is not asked again. */
  acknowledge(suspendId: string): Promise<void>;
  /** Nothing more comes of it. */
  forget(): void;
}

/**
 * What is remembered of each task: the last event its consumer has taken, and the questions that are answered. A store
 * that fails costs repeated events after a restart, never the stream.
 */
export class Checkpoints {
  private readonly pending = new Set<{ taskId: string; hasTaskEnded: boolean }>();
  private writing: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly store: CheckpointStore,
    private readonly namespace: string,
    private readonly diagnostics: DiagnosticsListener,
  ) {}

  /** `undefined` when there is none, or nothing that could be one. */
  async lastEventId(taskId: string): Promise<string | undefined> {
    const text = await this.get(taskId, this.cursorKey(taskId));
    return text && parseCursor(text) !== null ? text : undefined;
  }

  /** Resolves when it is stored. */
  async save(taskId: string, lastEventId: string): Promise<void> {
    await this.attempt('save', taskId, () => this.store.setItem(this.cursorKey(taskId), lastEventId));
  }

  async isAnswered(taskId: string, suspendId: string): Promise<boolean> {
    return (await this.answered(taskId)).includes(suspendId);
  }

  beginAnswer(taskId: string): PendingAnswer {
    const answer = { taskId, hasTaskEnded: false };
    this.pending.add(answer);
    return {
      acknowledge: (suspendId) =>
        this.inTurn(async () => {
          if (answer.hasTaskEnded) return;
          const all = new Set([...(await this.answered(taskId)), suspendId]);
          const key = this.answersKey(taskId);
          await this.attempt('save', taskId, () => this.store.setItem(key, JSON.stringify([...all])));
        }),
      forget: () => this.pending.delete(answer),
    };
  }

  /** After the end of the task. */
  async clear(taskId: string): Promise<void> {
    await this.clearAnswers(taskId);
    await this.attempt('clear', taskId, () => this.store.removeItem(this.cursorKey(taskId)));
  }

  /** The same for a reader that keeps no checkpoint: another one may still need its own. */
  async clearAnswers(taskId: string): Promise<void> {
    for (const answer of this.pending) answer.hasTaskEnded ||= answer.taskId === taskId;
    await this.inTurn(() => this.attempt('clear', taskId, () => this.store.removeItem(this.answersKey(taskId))));
  }

  private async answered(taskId: string): Promise<string[]> {
    try {
      const list: unknown = JSON.parse((await this.get(taskId, this.answersKey(taskId))) ?? '[]');
      return Array.isArray(list) ? list : [];
    } catch {
      return [];
    }
  }

  private async get(taskId: string, key: string): Promise<string | null | undefined> {
    let value: string | null | undefined;
    await this.attempt('load', taskId, async () => {
      value = await this.store.getItem(key);
    });
    return value;
  }

  private async attempt(operation: StoreOperation, taskId: string, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.diagnostics({ kind: 'store-failure', operation, taskId, error });
    }
  }

  /** Adding an answer reads and writes: one at a time. */
  private inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.writing.then(work);
    this.writing = turn;
    return turn;
  }

  private cursorKey(taskId: string): string {
    return `${this.namespace}:${taskId}:cursor`;
  }

  private answersKey(taskId: string): string {
    return `${this.namespace}:${taskId}:answers`;
  }
}
