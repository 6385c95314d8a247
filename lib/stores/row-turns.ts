import type { DataSource } from 'typeorm';
import { TaskBridgeError } from '../taskbridge.errors.js';
import { failureKind } from './append-failure.js';
import { sqlState } from './outage.js';
import { rawRows } from './raw-query.js';

/** How long a request waits for a task's row that somebody holds, its turn in this process included, in ms. */
const PATIENCE_MS = 5_000;
/** How long one try keeps its connection waiting for the row, in ms. */
export const ROW_LOCK_TIMEOUT_MS = 200;
/** Between two tries nothing is held, in ms. */
const PAUSE_MS = 50;

/** Whether a `statement_timeout` shorter than $1 ms is set. */
const HAS_SHORT_STATEMENTS = `select setting::integer > 0 and setting::integer < $1::integer
from pg_settings where name = 'statement_timeout'`;
const STATEMENT_TIMEOUT = '57014';

const CREATE = 'create ';

/** Stands for a row that may not be there yet, where `RowTurns` wants a task id. */
export function turnOfCreate({ ownerId, clientRequestId }: { ownerId: string; clientRequestId: string }): string {
  return CREATE + JSON.stringify([ownerId, clientRequestId]);
}

/** One that waits for the turn of another to end. */
interface Waiting {
  go(): void;
  refuse(): void;
}

const turns = new WeakMap<DataSource, RowTurns>();

/** The turns of everybody who uses this DataSource. */
export function rowTurns(dataSource: DataSource): RowTurns {
  const known = turns.get(dataSource) ?? new RowTurns(dataSource);
  turns.set(dataSource, known);
  return known;
}

/**
 * Keeps a task's row that somebody holds from using up the pool: of all that want one row, one at a time uses a
 * connection, and only for short tries; the others wait here, in the order they came.
 */
export class RowTurns {
  /** Tasks whose turn somebody has, with those who wait for it. */
  private readonly queues = new Map<string, Waiting[]>();
  private interruptions = 0;

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Calls `work`, and again while it fails because the row is held; it must leave nothing behind when it fails, and
   * must not take a turn of the same task itself. Rejects with `SERVICE_UNAVAILABLE` when the row stays held for
   * `patienceMs`, or when the wait is interrupted.
   */
  async take<T>(taskId: string, work: () => Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
    const key = taskId.toLowerCase();
    const untilMs = performance.now() + patienceMs;
    await this.turn(key, patienceMs);
    try {
      return await this.repeat(key, work, untilMs);
    } finally {
      this.pass(key);
    }
  }

  /** Refuses everybody who waits now, for a turn or for a row. */
  interrupt(): void {
    this.interruptions += 1;
    for (const queue of this.queues.values()) for (const waiting of queue.splice(0)) waiting.refuse();
  }

  private turn(key: string, patienceMs: number): Promise<void> {
    const queue = this.queues.get(key);
    if (queue === undefined) {
      this.queues.set(key, []);
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      const waiting: Waiting = {
        go: () => {
          clearTimeout(timer);
          resolve();
        },
        refuse: () => {
          clearTimeout(timer);
          reject(rowHeld(key));
        },
      };
      queue.push(waiting);
      if (!Number.isFinite(patienceMs)) return;
      timer = setTimeout(() => {
        queue.splice(queue.indexOf(waiting), 1);
        waiting.refuse();
      }, patienceMs);
    });
  }

  private pass(key: string): void {
    const next = this.queues.get(key)?.shift();
    if (next === undefined) this.queues.delete(key);
    else next.go();
  }

  private async repeat<T>(key: string, work: () => Promise<T>, untilMs: number): Promise<T> {
    const { interruptions } = this;
    for (;;) {
      try {
        return await work();
      } catch (error) {
        if (!(await this.isHeld(error))) throw error;
        if (performance.now() >= untilMs || interruptions !== this.interruptions) throw rowHeld(key, error);
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }

  /** A short `statement_timeout` of the host's ends a wait before the row's own limit does, and says nothing of a row. */
  private async isHeld(error: unknown): Promise<boolean> {
    if (sqlState(error) !== STATEMENT_TIMEOUT) return failureKind(error) === 'locked';
    try {
      const [row] = await rawRows(this.dataSource, HAS_SHORT_STATEMENTS, [2 * ROW_LOCK_TIMEOUT_MS]);
      return row?.[0] === true;
    } catch {
      return false;
    }
  }
}

/**
 * SQL to be added to the condition of a statement that locks a row outside a transaction: it then fails instead of
 * waiting longer than this. The setting ends with the statement.
 */
export function lockTimeout(ms: number): string {
  return `(select set_config('lock_timeout', '${ms}', true)) is not null`;
}

/** The same for one try at a task's row. */
export const WITHIN_ONE_TRY = lockTimeout(ROW_LOCK_TIMEOUT_MS);

function rowHeld(key: string, cause?: unknown): TaskBridgeError {
  const what = key.startsWith(CREATE) ? 'The task of this clientRequestId' : `Task ${key}`;
  return new TaskBridgeError('SERVICE_UNAVAILABLE', `${what} is busy: try again`, {
    details: { retryAfterSeconds: 1 },
    cause,
  });
}
