import type { CheckpointStore } from './checkpoint-store.js';

// As much of IndexedDB as is used: servers and workers that only import the package have no types for it.

interface Pending<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

interface OpenPending extends Pending<Database> {
  onupgradeneeded: (() => void) | null;
}

interface ObjectStore {
  get(key: string): Pending<unknown>;
  put(value: string, key: string): unknown;
  delete(key: string): unknown;
}

interface Transaction {
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
  objectStore(name: string): ObjectStore;
}

interface Database {
  onversionchange: (() => void) | null;
  onclose: (() => void) | null;
  createObjectStore(name: string): unknown;
  transaction(name: string, mode: 'readonly' | 'readwrite'): Transaction;
  close(): void;
}

interface DatabaseFactory {
  open(name: string, version: number): OpenPending;
}

const ITEMS = 'items';

/** IndexedDB: for pages that need more room than Web Storage has, and for workers, which have none. */
export class IndexedDbStore implements CheckpointStore {
  readonly #databaseName: string;
  #opening: Promise<Database> | undefined;

  constructor(databaseName = 'taskbridge') {
    this.#databaseName = databaseName;
  }

  async getItem(key: string): Promise<string | undefined> {
    const { result } = await this.#run('readonly', (items) => items.get(key));
    return typeof result === 'string' ? result : undefined;
  }

  async setItem(key: string, value: string): Promise<void> {
    await this.#run('readwrite', (items) => items.put(value, key));
  }

  async removeItem(key: string): Promise<void> {
    await this.#run('readwrite', (items) => items.delete(key));
  }

  /** Resolves with what the work has returned, once the transaction is complete. */
  async #run<T>(mode: 'readonly' | 'readwrite', work: (items: ObjectStore) => T): Promise<T> {
    const database = await this.#open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(ITEMS, mode);
      const outcome = work(transaction.objectStore(ITEMS));
      transaction.oncomplete = () => resolve(outcome);
      transaction.onabort = () => reject(transaction.error);
    });
  }

  #open(): Promise<Database> {
    this.#opening ??= new Promise((resolve, reject) => {
      const { indexedDB } = globalThis as unknown as { indexedDB: DatabaseFactory };
      const pending = indexedDB.open(this.#databaseName, 1);
      // The browser takes a connection away, or another tab waits for it: the next call opens one.
      const forget = (): void => {
        this.#opening = undefined;
      };
      pending.onupgradeneeded = () => pending.result.createObjectStore(ITEMS);
      pending.onerror = () => {
        forget();
        reject(pending.error);
      };
      pending.onsuccess = () => {
        const database = pending.result;
        database.onclose = forget;
        database.onversionchange = () => {
          forget();
          database.close();
        };
        resolve(database);
      };
    });
    return this.#opening;
  }
}
