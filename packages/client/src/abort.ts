/** Everybody who waits for one signal. */
class Audience {
  readonly works = new Set<() => void>();

  handleEvent(): void {
    for (const work of this.works) work();
    this.works.clear();
  }
}

/** One listener for each signal, however many wait: Node 20 warns of more than ten. */
const audiences = new WeakMap<AbortSignal, Audience>();

/** Why signals were aborted; React Native's do not keep it themselves. */
const reasons = new WeakMap<AbortSignal, unknown>();

/** Aborts with a reason that {@link abortReason} finds on every platform. */
export function abort(controller: AbortController, reason: unknown): void {
  reasons.set(controller.signal, reason);
  controller.abort(reason);
}

/** Why the signal was aborted. */
export function abortReason(signal: AbortSignal): unknown {
  return reasons.get(signal) ?? signal.reason ?? Object.assign(new Error('Aborted'), { name: 'AbortError' });
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortReason(signal);
}

/** Calls once the signal is aborted, which may be at once; returns how to call it off. */
export function onAbort(signal: AbortSignal | undefined, work: (reason: unknown) => void): () => void {
  if (!signal) return () => undefined;
  const call = (): void => work(abortReason(signal));
  if (signal.aborted) call();
  const audience = audiences.get(signal) ?? new Audience();
  if (audience.works.size === 0) signal.addEventListener('abort', audience);
  audiences.set(signal, audience);
  audience.works.add(call);
  return () => {
    audience.works.delete(call);
    if (audience.works.size === 0) signal.removeEventListener('abort', audience);
  };
}
