import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import type { RetentionSettings } from '../taskbridge.options.js';
import { rawCount, type RawRow, rawRows } from './raw-query.js';
import { tableNames } from './table-names.js';
import { type RetentionSql, retentionSql } from './task-retention.sql.js';
import { inTransaction } from './transactions.js';

/** What an ended task is due for. */
export interface DueTask {
  taskId: string;
  taskType: string;
  /** The task goes with everything that belongs to it. */
  isDoomed: boolean;
  /** Events that are stored now. */
  storedEvents: number;
  /** Its log is to be trimmed. */
  isTooLong: boolean;
  /** Receipts and suspensions that go with it; counted only when asked for. */
  receipts: number;
  suspensions: number;
}

export interface DeletedTasks {
  tasks: number;
  tasksByType: Record<string, number>;
  events: number;
  receipts: number;
  suspensions: number;
}

/** A task that has not ended, and how many events its log would lose; counted only when asked for. */
export interface LongOpenLog {
  taskId: string;
  excessEvents: number;
}

/** One page of a walk; `next` is `undefined` after the last one. */
export interface RetentionPage<T, C> {
  items: T[];
  next: C | undefined;
}

/** The last row of a page of ended tasks: its end in epoch µs and its id. */
export type DueCursor = readonly [finishedUs: number, taskId: string];

const FIRST_ID = '00000000-0000-0000-0000-000000000000';
export const FIRST_DUE: DueCursor = [0, FIRST_ID];
export const FIRST_OPEN = FIRST_ID;

/** How far a run looks at one go, and with which clock. */
export interface WalkOptions {
  /** The database's clock at the start of the run, epoch ms: what gets old enough later is for the next run. */
  asOfMs: number;
  /** Counts what would be deleted, which reads more. */
  isCounted: boolean;
}

/**
 * Finds and deletes what is old. Each deletion is one transaction that looks again under the rows' locks and skips what
 * somebody holds, so any number of processes may do the same work at once. A log that is taken away in several steps
 * starts at `retained_from_seq` after each of them.
 */
@Injectable()
export class TaskRetentionStore {
  private readonly sql: RetentionSql;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.sql = retentionSql(tableNames(dataSource));
  }

  /** The database's clock in epoch ms. */
  async now(): Promise<number> {
    const [row] = await rawRows(this.dataSource, this.sql.now, []);
    return Number(row?.[0]);
  }

  /** Ended tasks in the order of their ends. */
  async listDue(
    policy: RetentionSettings,
    after: DueCursor,
    { asOfMs, isCounted }: WalkOptions,
  ): Promise<RetentionPage<DueTask, DueCursor>> {
    const { tasks, trim, batchSize } = policy;
    const ages = [tasks.olderThanMs, trim.olderThanMs, ...Object.values(tasks.byType)].filter((age) => age !== false);
    if (ages.length === 0) return { items: [], next: undefined };
    const rows = await rawRows(this.dataSource, isCounted ? this.sql.dueCounted : this.sql.due, [
      ...policyValues(policy, asOfMs),
      orNull(trim.olderThanMs),
      trim.keepEvents,
      Math.min(...ages),
      ...after,
      batchSize,
    ]);
    const last = rows.at(-1);
    return { items: rows.map(dueTaskOf), next: last && [Number(last[2]), String(last[0])] };
  }

  /**
   * Deletes ended tasks with their events, suspensions and receipts; the files are the `AttachmentStore`'s. All go in
   * one statement, so the caller limits how many there are; a task of more than `maxEvents` stays.
   */
  async deleteTasks(taskIds: readonly string[], maxEvents: number): Promise<DeletedTasks> {
    const [row] = await rawRows(this.dataSource, this.sql.deleteTasks, [taskIds, maxEvents]);
    const byType: unknown = typeof row?.[3] === 'string' ? JSON.parse(row[3]) : {};
    const tasksByType = byType as Record<string, number>;
    const tasks = Object.values(tasksByType).reduce((sum, count) => sum + count, 0);
    return { tasks, tasksByType, events: Number(row?.[0]), receipts: Number(row?.[1]), suspensions: Number(row?.[2]) };
  }

  /** Deletes settled questions of tasks that ended so long ago, never before the answer's delivery; at most `limit`. */
  deleteSuspensions(olderThanMs: number, limit: number): Promise<number> {
    return rawCount(this.dataSource, this.sql.deleteSuspensions, [olderThanMs, limit]);
  }

  /** Receipts and suspensions that are old enough to go while their tasks stay. */
  async countOld(policy: RetentionSettings, asOfMs: number): Promise<{ receipts: number; suspensions: number }> {
    const ages = [orNull(policy.receiptsOlderThanMs), orNull(policy.suspensionsOlderThanMs)];
    const [row] = await rawRows(this.dataSource, this.sql.countOld, [...policyValues(policy, asOfMs), ...ages]);
    return { receipts: Number(row?.[0]), suspensions: Number(row?.[1]) };
  }

  /** Takes at most `limit` of the oldest events off an ended task's log, never one of the newest `keepEvents`. */
  trimFinished(taskId: string, keepEvents: number, limit: number): Promise<number> {
    return this.trim(taskId, this.sql.trimFinished, [taskId, Math.max(1, keepEvents), limit]);
  }

  /** The same for a task that goes on: only events that were `olderThanMs` old at `asOfMs`, and before any open question. */
  trimOpen(
    taskId: string,
    policy: { keepEvents: number; olderThanMs: number },
    asOfMs: number,
    limit: number,
  ): Promise<number> {
    const { keepEvents, olderThanMs } = policy;
    return this.trim(taskId, this.sql.trimOpen, [taskId, Math.max(1, keepEvents), limit, asOfMs, olderThanMs]);
  }

  /** Open tasks in the order of their ids whose logs are longer than `keepEvents` and old enough at their start. */
  async listLongOpen(
    { trim, batchSize }: RetentionSettings,
    after: string,
    { asOfMs, isCounted }: WalkOptions,
  ): Promise<RetentionPage<LongOpenLog, string>> {
    if (!trim.openTasks || trim.olderThanMs === false) return { items: [], next: undefined };
    const statement = isCounted ? this.sql.openLogsCounted : this.sql.openLogs;
    const values = [asOfMs, trim.olderThanMs, trim.keepEvents, after, batchSize];
    const rows = await rawRows(this.dataSource, statement, values);
    const items = rows.filter(([, , isDue]) => isDue === true);
    return {
      items: items.map(([taskId, , , excess]) => ({ taskId: String(taskId), excessEvents: Number(excess) })),
      next: rows.length === 0 ? undefined : String(rows.at(-1)?.[0]),
    };
  }

  private trim(taskId: string, statement: string, values: unknown[]): Promise<number> {
    return inTransaction(this.dataSource, undefined, async (manager) => {
      const locked = await rawRows(manager, this.sql.lockTask, [taskId]);
      if (locked.length === 0) return 0;
      const [row] = await rawRows(manager, statement, values);
      return Number(row?.[0] ?? 0);
    });
  }
}

/** $1 to $3 of the statements that judge tasks. */
function policyValues({ tasks }: RetentionSettings, asOfMs: number): unknown[] {
  const byType = Object.entries(tasks.byType).map(([type, age]) => ({ task_type: type, older_than_ms: orNull(age) }));
  return [asOfMs, JSON.stringify(byType), orNull(tasks.olderThanMs)];
}

function orNull(age: number | false): number | null {
  return age === false ? null : age;
}

function dueTaskOf(row: RawRow): DueTask {
  return {
    taskId: String(row[0]),
    taskType: String(row[1]),
    isDoomed: row[3] === true,
    storedEvents: Number(row[4]),
    isTooLong: row[5] === true,
    receipts: Number(row[6]),
    suspensions: Number(row[7]),
  };
}
