import { abortable } from '../wait.js';

/** Items that wait for the one who reads them, in order. */
export class Mailbox<T> {
  /** How much waits: 1 for each item, and 1 for every 2 kB of a text. */
  load = 0;
  readonly #unread: T[] = [];
  #arrived: () => void = () => undefined;

  push(item: T): void {
    this.load += loadOf(item);
    this.#unread.push(item);
    this.#arrived();
  }

  /** Rejects with the signal's reason. */
  async next(signal?: AbortSignal): Promise<T> {
    while (this.#unread.length === 0) await this.#arrival(signal);
    const item = this.#unread.shift() as T;
    this.load -= loadOf(item);
    return item;
  }

  #arrival(signal: AbortSignal | undefined): Promise<void> {
    return abortable<void>(signal, (resolve) => {
      this.#arrived = () => resolve();
      return () => (this.#arrived = () => undefined);
    });
  }
}

function loadOf(item: unknown): number {
  return 1 + (typeof item === 'string' ? item.length >> 11 : 0);
}
