import { type BackoffOptions, DEFAULT_BACKOFF } from './backoff.js';
import type { Deadlines } from './connection.js';
import type { RecoveryPolicy } from './ladder.js';

/** How connections are watched and made again. A time of `Infinity` never comes. */
export interface RecoveryOptions extends BackoffOptions, Deadlines {
  /** @default 'PROGRESSIVE_STICKY' */
  policy: RecoveryPolicy;
  /** A connection that the server has not accepted by then is given up. @default 10_000 */
  openTimeoutMs: number;
  /** The same for one that is silent for so long; servers send a heartbeat every 15 s. @default 45_000 */
  livenessTimeoutMs: number;
  /** On a lower transport, a better one is tried beside it after this; longer each time that it does not last. @default 15_000 */
  climbAfterMs: number;
  /** The most that is waited between such tries. @default 300_000 */
  maxClimbAfterMs: number;
  /** An observation rejects with `CONNECTION_FAILED` at this failure in a row: nothing new, and no connection that lasted, between the pauses. @default Infinity */
  maxFailures: number;
}

export const DEFAULT_RECOVERY: RecoveryOptions = {
  ...DEFAULT_BACKOFF,
  policy: 'PROGRESSIVE_STICKY',
  openTimeoutMs: 10_000,
  livenessTimeoutMs: 45_000,
  climbAfterMs: 15_000,
  maxClimbAfterMs: 300_000,
  maxFailures: Number.POSITIVE_INFINITY,
};

/** When to try a better transport next. */
export function climbDelayMs(climbs: number, { climbAfterMs, maxClimbAfterMs }: RecoveryOptions): number {
  return Math.min(Math.max(climbAfterMs, maxClimbAfterMs), climbAfterMs * 2 ** Math.min(climbs, 30));
}
