export interface BackoffSettings {
  /** First pause, in ms; doubled with each failure. */
  backoffMs: number;
  maxBackoffMs: number;
}

/**
 * The pause after the `failures`-th failure in a row (counted from 1), in ms. Jittered down to its half, so that what
 * failed together does not come back together.
 */
export function backoffDelayMs(failures: number, { backoffMs, maxBackoffMs }: BackoffSettings): number {
  const full = Math.min(maxBackoffMs, backoffMs * 2 ** Math.max(0, failures - 1));
  return Math.round(full * (0.5 + Math.random() / 2));
}
