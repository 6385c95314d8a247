/** Resolves after a time; rejects with the signal's reason as soon as it is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return abortable<void>(signal, (resolve) => {
    const timer = setTimeout(() => resolve(), ms);
    return () => clearTimeout(timer);
  });
}

/** A promise that the signal rejects; `start` gets its `resolve` and returns what lets go of everything it holds. */
export function abortable<T>(
  signal: AbortSignal | undefined,
  start: (resolve: (value: T) => void) => () => void,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    let letGo: (() => void) | undefined;
    const release = (): void => {
      signal?.removeEventListener('abort', abort);
      letGo?.();
    };
    const abort = (): void => {
      release();
      reject(signal?.reason as Error);
    };
    signal?.addEventListener('abort', abort);
    letGo = start((value) => {
      release();
      resolve(value);
    });
  });
}

/** A controller that is aborted with its parent; `release` ends the bond. */
export function childOf(parent: AbortSignal | undefined): { controller: AbortController; release: () => void } {
  const controller = new AbortController();
  const abort = (): void => controller.abort(parent?.reason);
  if (parent?.aborted) abort();
  else parent?.addEventListener('abort', abort);
  return { controller, release: () => parent?.removeEventListener('abort', abort) };
}
