import { throwIfAborted } from '../abort.js';
import type { Diagnostic, DiagnosticsListener } from '../diagnostics.js';
import { limited } from '../wait.js';
import type { CheckpointStore } from './checkpoint-store.js';

type StoreOperation = Extract<Diagnostic, { kind: 'store-failure' }>['operation'];

export interface SteadyStoreOptions {
  store: CheckpointStore;
  /** Begins every key. */
  namespace: string;
  diagnostics: DiagnosticsListener;
  /** How long a call of the store is waited for. */
  timeoutMs: number;
}

/** What a key is to be in the end, while the store is still at it. */
interface Write {
  text: string | undefined;
  /** Somebody has waited for it in vain. */
  isOverdue: boolean;
  /** Never rejects. */
  done: Promise<true>;
}

/**
 * A store that may fail or hang, as one that does neither. A key is written by one call at a time, so that a late call
 * cannot undo a later one; what changes meanwhile is written as it is in the end, and read before it is written.
 */
export class SteadyStore {
  readonly #writes = new Map<string, Write>();

  constructor(private readonly options: SteadyStoreOptions) {}

  /** `undefined` also when the store fails or hangs; rejects only with the signal's reason, like {@link set}. */
  async get(taskId: string, name: string, signal?: AbortSignal): Promise<string | null | undefined> {
    const key = this.#key(taskId, name);
    const write = this.#writes.get(key);
    return write ? write.text : this.#attempt('load', taskId, () => this.options.store.getItem(key), signal);
  }

  /** `undefined` removes. Resolves when that is stored, has failed, or takes too long; then nobody waits for it again. */
  async set(taskId: string, name: string, text: string | undefined, signal?: AbortSignal): Promise<void> {
    const key = this.#key(taskId, name);
    const write = this.#writes.get(key) ?? this.#begin(taskId, key, text);
    write.text = text;
    if (!write.isOverdue) write.isOverdue = !(await this.#attempt('save', taskId, () => write.done, signal));
  }

  #begin(taskId: string, key: string, text: string | undefined): Write {
    const write = { text, isOverdue: false } as Write;
    this.#writes.set(key, write);
    write.done = this.#settle(taskId, key, write);
    return write;
  }

  async #settle(taskId: string, key: string, write: Write): Promise<true> {
    const { store, diagnostics } = this.options;
    let text: string | undefined;
    do {
      text = write.text;
      try {
        await (text === undefined ? store.removeItem(key) : store.setItem(key, text));
      } catch (error) {
        diagnostics({ kind: 'store-failure', operation: text === undefined ? 'clear' : 'save', taskId, error });
      }
    } while (text !== write.text);
    this.#writes.delete(key);
    return true;
  }

  async #attempt<T>(
    operation: StoreOperation,
    taskId: string,
    work: () => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const { timeoutMs, diagnostics } = this.options;
    try {
      return await limited(async () => work(), timeoutMs, signal);
    } catch (error) {
      throwIfAborted(signal);
      diagnostics({ kind: 'store-failure', operation, taskId, error });
      return undefined;
    }
  }

  #key(taskId: string, name: string): string {
    return `${this.options.namespace}:${taskId}:${name}`;
  }
}
