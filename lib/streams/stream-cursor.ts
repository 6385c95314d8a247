import { formatEventId, isTerminalStatus, parseCursor } from '@taskbridge/protocol';
import type { TaskRecord } from '../stores/records.js';
import { TaskBridgeError } from '../taskbridge.errors.js';

/** The log as the caller has read it: how far it goes, how far back, and whether it is finished. */
export type LogBounds = Pick<TaskRecord, 'taskId' | 'lastSeq' | 'retainedFromSeq' | 'status'>;

/** Reads a client's cursor for this log; throws like `assertCursor`, and `INVALID_CURSOR` for anything malformed. */
export function cursorSeq(task: LogBounds, cursor: unknown): number {
  const seq = parseCursor(cursor);
  if (seq === null) throw new TaskBridgeError('INVALID_CURSOR', 'The cursor is not an event id');
  assertCursor(task, seq);
  return seq;
}

/** Throws `INVALID_CURSOR` past the end of the log, `EVENT_GAP` where events after the cursor are no longer stored. */
export function assertCursor(task: LogBounds, seq: number): void {
  if (!Number.isSafeInteger(seq) || seq < 0) {
    throw new TaskBridgeError('INVALID_CURSOR', 'The cursor is not an event id');
  }
  if (seq > task.lastSeq) {
    throw new TaskBridgeError('INVALID_CURSOR', 'The cursor is past the end of the log', {
      details: { lastEventId: formatEventId(task.lastSeq) },
    });
  }
  if (seq + 1 < task.retainedFromSeq) {
    throw new TaskBridgeError('EVENT_GAP', 'Events after the cursor are no longer stored: start from a snapshot', {
      details: { oldestEventId: formatEventId(task.retainedFromSeq) },
    });
  }
}

/** Nothing will ever follow this cursor. */
export function isAtEnd(task: LogBounds, seq: number): boolean {
  return isTerminalStatus(task.status) && seq === task.lastSeq;
}
