import type { RecoveryOptions, TransportName } from '@taskbridge/client';

/** What a test asks this page to do. */
export interface FollowRequest {
  taskId: string;
  store: 'localStorage' | 'indexedDB';
  namespace: string;
  transports?: TransportName[];
  recovery?: Partial<RecoveryOptions>;
}

/** Each event as it came, with the checkpoint that was stored then. */
export interface FollowOutcome {
  seqs: number[];
  checkpoints: (string | undefined)[];
}
