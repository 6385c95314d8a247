import type { TaskEventPayloads, TaskEventType } from '@taskbridge/protocol';
import type { EntityManager } from 'typeorm';
import type { LogEvent } from './records.js';

export interface StoreOptions {
  /** Enlists the call in this manager's transaction; omitted, the store uses one of its own. */
  manager?: EntityManager | undefined;
}

export interface AppendCommand<T extends TaskEventType = TaskEventType> {
  taskId: string;
  type: T;
  payload: TaskEventPayloads[T];
  /** Attempt that reports; `null` for the system itself, which is not fenced. */
  attempt: number | null;
  /** Number of this append within its attempt, counted from 1 by the attempt's one reporter; makes a repeat safe. */
  appendNo?: number | undefined;
  /** UUID that makes a repeat safe for producers that cannot number their appends. */
  appendId?: string | undefined;
}

export interface AppendResult {
  seq: number;
  eventId: string;
  createdAt: string;
  /** True when this append had been applied before; `seq` is then the number it got. */
  deduplicated: boolean;
}

export interface WaitOptions {
  limit: number;
  /** How long to wait for the first event, in ms; 0 answers at once. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

/**
 * The ordered log of every task. Contract:
 *
 * - `append` assigns `seq` 1, 2, 3 … per task in commit order and changes the task's status in the same statement. It
 *   resolves when the event is durable. It rejects with `TASK_NOT_FOUND`, `TASK_ALREADY_TERMINAL`,
 *   `ATTEMPT_SUPERSEDED`, `INVALID_TASK_STATE`, or `REQUEST_VALIDATION_ERROR` / `PAYLOAD_TOO_LARGE` for the payload;
 *   a refused append has written nothing. With a manager the event exists once that transaction commits, and followers
 *   are woken after the commit.
 * - A terminal event closes the task's open suspensions and pending hand-offs and frees its lease in the same statement.
 * - `listAfter` returns events with `seq > afterSeq` in order, at most `limit`, and never one whose predecessor is not
 *   visible.
 * - `waitAfter` is `listAfter` that waits for the first event up to `timeoutMs`; it returns an empty list on time-out,
 *   on abort, and at once when the task has ended and nothing follows `afterSeq`.
 * - `lastSeqs` is one read for any number of tasks: the number of each one's newest event, unknown tasks left out.
 */
export abstract class EventStore {
  abstract append<T extends TaskEventType>(command: AppendCommand<T>, options?: StoreOptions): Promise<AppendResult>;
  abstract listAfter(taskId: string, afterSeq: number, limit: number): Promise<LogEvent[]>;
  abstract waitAfter(taskId: string, afterSeq: number, options: WaitOptions): Promise<LogEvent[]>;
  abstract lastSeqs(taskIds: readonly string[]): Promise<Map<string, number>>;
}
