import type { Diagnostic, RecoveryOptions, TransportName } from '@taskbridge/client';
import type { Followed } from '../../client/support/follower.js';

/** What a test asks the page of `follow.page.ts` to do. */
export interface FollowRequest {
  taskId: string;
  store: 'localStorage' | 'indexedDB';
  namespace: string;
  transports?: TransportName[];
  recovery?: Partial<RecoveryOptions>;
  limitMs?: number;
  /** Whom to tell of events and diagnostics, and ask for headers; without it, nobody. */
  run?: number;
}

/** What became of it; errors do not leave a page whole. */
export type FollowOutcome = Followed | { error: { message: string; code?: string; status?: number } };

/** What tests give to the page. */
export interface FollowCallbacks {
  tellEvent(run: number, seq: number): Promise<void>;
  tellDiagnostic(run: number, diagnostic: Diagnostic): Promise<void>;
  headersOf(run: number, forceRefresh: boolean): Promise<Record<string, string>>;
}
