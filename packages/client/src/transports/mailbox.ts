import { abortable } from '../wait.js';

/** Items that wait for the one who reads them, in order. */
export class Mailbox<T> {
  readonly #unread: T[] = [];
  #arrived: () => void = () => undefined;

  get size(): number {
    return this.#unread.length;
  }

  push(item: T): void {
    this.#unread.push(item);
    this.#arrived();
  }

  /** Rejects with the signal's reason. */
  async next(signal: AbortSignal): Promise<T> {
    while (this.#unread.length === 0) await this.#arrival(signal);
    return this.#unread.shift() as T;
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return abortable<void>(signal, (resolve) => {
      this.#arrived = () => resolve();
      return () => (this.#arrived = () => undefined);
    });
  }
}
