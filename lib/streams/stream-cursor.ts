import { formatEventId, isTerminalStatus, parseCursor } from '@taskbridge/protocol';
import type { TaskRecord } from '../stores/records.js';
import { TaskBridgeError } from '../taskbridge.errors.js';

/** The log as the caller has read it: how far it goes, how far back, and whether it is finished. */
export type LogBounds = Pick<TaskRecord, 'taskId' | 'lastSeq' | 'retainedFromSeq' | 'status'>;

/** Where a reader starts. */
export interface StreamStart {
  /** The reader's cursor, or the one before the oldest stored event where that is later. */
  afterSeq: number;
  /** Events after the reader's own cursor are no longer stored. */
  isGap: boolean;
}

/** Reads a client's cursor for this log; throws like `startAfter`, and `INVALID_CURSOR` for anything malformed. */
export function startAtCursor(task: LogBounds, cursor: unknown): StreamStart {
  const seq = parseCursor(cursor);
  if (seq === null) throw new TaskBridgeError('INVALID_CURSOR', 'The cursor is not an event id');
  return startAfter(task, seq);
}

/** Where a reader that has had the events up to `seq` goes on; throws `INVALID_CURSOR` past the end of the log. */
export function startAfter(task: LogBounds, seq: number): StreamStart {
  if (!Number.isSafeInteger(seq) || seq < 0) {
    throw new TaskBridgeError('INVALID_CURSOR', 'The cursor is not an event id');
  }
  if (seq > task.lastSeq) {
    throw new TaskBridgeError('INVALID_CURSOR', 'The cursor is past the end of the log', {
      details: { lastEventId: formatEventId(task.lastSeq) },
    });
  }
  return { afterSeq: Math.max(seq, task.retainedFromSeq - 1), isGap: seq + 1 < task.retainedFromSeq };
}

/** Nothing will ever follow this cursor. */
export function isAtEnd(task: LogBounds, seq: number): boolean {
  return isTerminalStatus(task.status) && seq === task.lastSeq;
}
