import type { CheckpointStore } from './checkpoint-store.js';

/** Lives as long as the object. */
export class MemoryStore implements CheckpointStore {
  readonly #items = new Map<string, string>();

  getItem(key: string): string | undefined {
    return this.#items.get(key);
  }

  setItem(key: string, value: string): void {
    this.#items.set(key, value);
  }

  removeItem(key: string): void {
    this.#items.delete(key);
  }
}
