import { abortable, after } from '../wait.js';

/** Tells whether the device has a network. A host's own, from React Native's NetInfo for one, replaces the browser's. */
export interface NetworkStatus {
  isOnline(): boolean;
  /** Calls back whenever that may have changed; returns how to stop. */
  subscribe(changed: () => void): () => void;
}

/** Looked at this often besides, because `online` events get lost while a device sleeps. */
const RECHECK_MS = 5_000;

const CHANGES = ['online', 'offline'];

/** What `navigator.onLine` says; always online where there is none. */
export const BROWSER_NETWORK: NetworkStatus = {
  isOnline: () => (globalThis as { navigator?: { onLine?: boolean } }).navigator?.onLine !== false,
  subscribe(changed) {
    const events = globalThis as Partial<Pick<EventTarget, 'addEventListener' | 'removeEventListener'>>;
    for (const type of CHANGES) events.addEventListener?.(type, changed);
    return () => {
      for (const type of CHANGES) events.removeEventListener?.(type, changed);
    };
  },
};

/** Resolves once the device is online; `onWait` is called when that is not at once. */
export async function whenOnline(network: NetworkStatus, signal?: AbortSignal, onWait?: () => void): Promise<void> {
  if (network.isOnline()) return;
  onWait?.();
  while (!network.isOnline()) await pause(RECHECK_MS, network, signal);
}

/** Waits, but no longer than until the device comes back online. */
export function pause(ms: number, network: NetworkStatus, signal?: AbortSignal): Promise<void> {
  return abortable<void>(signal, (resolve) => {
    const cancelTimer = after(ms, () => resolve());
    const unsubscribe = network.subscribe(() => {
      if (network.isOnline()) resolve();
    });
    return () => {
      cancelTimer();
      unsubscribe();
    };
  });
}
