import { throwIfAborted } from '../abort.js';
import type { Diagnostic, DiagnosticsListener } from '../diagnostics.js';
import { limited, NetworkFailure } from '../wait.js';
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
  /** Never rejects. */
  done: Promise<void>;
}

/**
 * A store that may fail or hang, as one that does neither. A key is written by one call at a time, so that a late call
 * cannot undo a later one; what changes meanwhile is written as it is in the end, and read before it is written. While a
 * call is late, no other is waited for.
 */
export class SteadyStore {
  readonly #options: SteadyStoreOptions;
  readonly #writes = new Map<string, Write>();
  /** Calls that have taken too long, and are not back yet. */
  #late = 0;

  constructor(options: SteadyStoreOptions) {
    this.#options = options;
  }

  /** `undefined` also when the store fails, hangs or has no text; rejects only with the signal's reason, like {@link set}. */
  async get(taskId: string, name: string, signal?: AbortSignal): Promise<string | undefined> {
    const key = this.#key(taskId, name);
    const write = this.#writes.get(key);
    if (write) return write.text;
    const text = await this.#attempt('load', taskId, () => this.#options.store.getItem(key), signal);
    return typeof text === 'string' ? text : undefined;
  }

  /** `undefined` removes. Resolves when that is stored, has failed, or takes too long. */
  async set(taskId: string, name: string, text: string | undefined, signal?: AbortSignal): Promise<void> {
    const key = this.#key(taskId, name);
    const write = this.#writes.get(key) ?? this.#begin(taskId, key, text);
    write.text = text;
    await this.#attempt(operationOf(text), taskId, () => write.done, signal);
  }

  #begin(taskId: string, key: string, text: string | undefined): Write {
    const write = { text } as Write;
    this.#writes.set(key, write);
    write.done = this.#settle(taskId, key, write);
    return write;
  }

  async #settle(taskId: string, key: string, write: Write): Promise<void> {
    const { store, diagnostics } = this.#options;
    let text: string | undefined;
    do {
      text = write.text;
      try {
        await (text === undefined ? store.removeItem(key) : store.setItem(key, text));
      } catch (error) {
        diagnostics({ kind: 'store-failure', operation: operationOf(text), taskId, error });
      }
    } while (text !== write.text);
    this.#writes.delete(key);
  }

  async #attempt<T>(
    operation: StoreOperation,
    taskId: string,
    work: () => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    if (this.#late > 0) return undefined;
    const { timeoutMs, diagnostics } = this.#options;
    const call = (async () => work())();
    try {
      return await limited(() => call, timeoutMs, signal);
    } catch (error) {
      throwIfAborted(signal);
      diagnostics({ kind: 'store-failure', operation, taskId, error });
      if (error instanceof NetworkFailure) this.#countLate(call);
      return undefined;
    }
  }

  #countLate(call: Promise<unknown>): void {
    const back = (): void => void (this.#late -= 1);
    this.#late += 1;
    call.then(back, back);
  }

  #key(taskId: string, name: string): string {
    return `${this.#options.namespace}:${taskId}:${name}`;
  }
}

function operationOf(text: string | undefined): StoreOperation {
  return text === undefined ? 'clear' : 'save';
}
