import { abort, onAbort, throwIfAborted } from './abort.js';

/** Resolves after a time; rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return abortable<void>(signal, (resolve) => {
    return after(ms, () => resolve());
  });
}

/** The most that a timer can count, 24 days; it would take more for 1 ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Calls once after a time, never after {@link MAX_TIMER_MS} or more; returns how to call it off. */
export function after(ms: number, work: () => void): () => void {
  if (ms > MAX_TIMER_MS) return () => undefined;
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

/** What becomes of the work, unless the signal is aborted before: then its reason. The work itself goes on. */
export function raced<T>(work: T | PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  const outcome = Promise.resolve(work);
  outcome.catch(() => undefined);
  return abortable<T>(signal, (resolve) => {
    const settle = (): void => resolve(outcome);
    outcome.then(settle, settle);
    return () => undefined;
  });
}

/** The same with a time limit, after which it rejects with a {@link NetworkFailure}. */
export async function limited<T>(
  work: (signal: AbortSignal) => PromiseLike<T>,
  limitMs: number,
  parent?: AbortSignal,
): Promise<T> {
  const { controller, release } = childOf(parent);
  const cancelTimer = after(limitMs, () => abort(controller, new NetworkFailure(`No answer within ${limitMs} ms`)));
  try {
    return await raced(work(controller.signal), controller.signal);
  } finally {
    cancelTimer();
    release();
  }
}

/** Nothing, or only half an answer, has come back, or not in time. */
export class NetworkFailure extends Error {}

/** For promises that are rejected for want of a network. */
export function networkFailure(cause: unknown): never {
  throw new NetworkFailure(String(cause), { cause });
}

/** A promise that the signal rejects; `start` gets its `resolve` and returns what lets go of everything it holds. */
export function abortable<T>(
  signal: AbortSignal | undefined,
  start: (resolve: (value: T | PromiseLike<T>) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    throwIfAborted(signal);
    let letGo: (() => void) | undefined;
    const release = onAbort(signal, (reason) => {
      letGo?.();
      reject(reason);
    });
    letGo = start((value) => {
      release();
      letGo?.();
      resolve(value);
    });
  });
}

/** A controller that is aborted with its parent; `release` ends the bond. */
export function childOf(parent: AbortSignal | undefined): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  return { controller, release: onAbort(parent, (reason) => abort(controller, reason)) };
}
