import type { EventGap } from '@taskbridge/protocol';

/** Events that are not stored any more: everything after `afterEventId` and before `retainedFromEventId`. */
export interface TaskGap extends EventGap {
  taskId: string;
  afterEventId: string;
}

/**
 * Told of a gap before anything that follows it. `snapshot` is the task as of `snapshot.lastEventId`; return
 * `'skip-to-snapshot'` to go on after that instead of with the oldest stored event.
 */
export type GapListener = (gap: TaskGap) => void | 'skip-to-snapshot' | Promise<void | 'skip-to-snapshot'>;
