/** How long to wait between tries. */
export interface BackoffOptions {
  /** The most that is waited before the first try again. @default 500 */
  initialDelayMs: number;
  /** The most that is ever waited. @default 30_000 */
  maxDelayMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = { initialDelayMs: 500, maxDelayMs: 30_000 };

/**
 * A random time up to a limit that doubles with each failure, so that clients do not come back together; at least what
 * the server asks for, which counts up to `maxDelayMs`.
 */
export function backoffMs(
  failures: number,
  { initialDelayMs, maxDelayMs }: BackoffOptions,
  retryAfterMs = 0,
  random: () => number = Math.random,
): number {
  const limit = Math.min(maxDelayMs, initialDelayMs * 2 ** Math.min(failures, 30));
  return Math.max(random() * limit, Math.min(retryAfterMs, maxDelayMs));
}
