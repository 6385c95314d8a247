import { Inject, Injectable, type OnModuleDestroy } from '@nestjs/common';
import { TASK_STATUSES } from '@taskbridge/protocol';
import type { DataSource, EntityManager } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { TaskBridgeError, validationError } from '../taskbridge.errors.js';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { storableJson } from './append-command.js';
import type { StoreOptions } from './event.store.js';
import { poolWork } from './pool-work.js';
import { preparedRows, rawCount, type RawRow, rawRows } from './raw-query.js';
import type { TaskRecord } from './records.js';
import { tableNames } from './table-names.js';
import {
  type CancellationRequest,
  type NewTask,
  type TaskCreation,
  type TaskHandoff,
  type TaskListQuery,
  type TaskListRow,
  TaskRegistry,
  type TaskRowWait,
} from './task-registry.js';
import { TaskInserts } from './task-inserts.js';
import { type RegistrySql, registrySql } from './task-registry.sql.js';
import { AFTER_TASK_COLUMNS, createdTask, taskOf } from './task-row.js';
import { rowTurns, turnOfCreate } from './row-turns.js';
import { inTransaction, isInTransaction, withTaskRow } from './transactions.js';

/** A key that vanishes between the refused insert and the read was retained away; the next try creates the task. */
const CREATE_TRIES = 3;
/** A larger one goes alone: the others would wait for it. */
const MAX_SHARED_CHARACTERS = 65_536;
const MAX_ERROR_LENGTH = 2_000;

/** The task rows in Postgres. */
@Injectable()
export class TypeOrmTaskRegistry extends TaskRegistry implements OnModuleDestroy {
  private readonly sql: RegistrySql;
  private readonly inserts: TaskInserts;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    super();
    this.sql = registrySql(tableNames(dataSource));
    this.inserts = new TaskInserts(dataSource, this.sql.insertMany);
  }

  /** Before the pool ends; bounded as everything that waits for the pool is. */
  onModuleDestroy(): Promise<void> {
    return this.inserts.settled();
  }

  transaction<T>(work: (manager: EntityManager) => Promise<T>, row?: TaskRowWait): Promise<T> {
    if (row?.newTask !== undefined) {
      return withTaskRow(this.dataSource, { ...row, taskId: turnOfCreate(row.newTask) }, work);
    }
    if (row !== undefined && isUuid(row.taskId)) return withTaskRow(this.dataSource, row, work);
    return inTransaction(this.dataSource, undefined, work);
  }

  snapshot<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    return poolWork(this.dataSource).transaction('REPEATABLE READ', async (manager) => {
      await manager.query('set transaction read only');
      return work(manager);
    });
  }

  async createTask(task: NewTask, options: StoreOptions = {}): Promise<TaskCreation> {
    const row = newRowOf(task);
    if (options.manager !== undefined) return this.insert(row, this.sql.insert, options);
    let isShared = row.input.length + row.metadata.length <= MAX_SHARED_CHARACTERS;
    let wasShared = false;
    return rowTurns(this.dataSource).take(turnOfCreate(task), async () => {
      try {
        if (isShared) return await this.insertAmongOthers(row);
      } catch {
        // One among them could not be inserted, or not now, or their connection was lost. Alone, each fails by itself.
        wasShared = true;
        isShared = false;
      }
      const creation = await this.insert(row, this.sql.insertSoon, {});
      // What was given up may have been done.
      return wasShared && creation.task.taskId === task.taskId ? { ...creation, created: true } : creation;
    });
  }

  async getTask(taskId: string, options: StoreOptions & { lock?: boolean } = {}): Promise<TaskRecord | undefined> {
    if (options.lock === true && !isInTransaction(options.manager)) {
      throw new TypeError('A task row can only be locked in a transaction: pass its manager');
    }
    if (!isUuid(taskId)) return undefined;
    const sql = options.lock === true ? this.sql.getLocked : this.sql.get;
    const [row] = await rawRows(this.source(options), sql, [taskId]);
    return row === undefined ? undefined : taskOf(row);
  }

  async findByClientRequestId(
    ownerId: string,
    clientRequestId: string,
    options: StoreOptions = {},
  ): Promise<TaskCreation | undefined> {
    const [row] = await rawRows(this.source(options), this.sql.findByRequest, [ownerId, clientRequestId]);
    if (row === undefined) return undefined;
    return { task: taskOf(row), created: false, requestHash: String(row[AFTER_TASK_COLUMNS]) };
  }

  async requestCancellation(
    taskId: string,
    request: CancellationRequest,
    options: StoreOptions = {},
  ): Promise<boolean> {
    if (!isUuid(taskId)) return false;
    const values = [taskId, request.reason, request.claimMs];
    return (await rawCount(this.source(options), this.sql.requestCancellation, values)) === 1;
  }

  async list(query: TaskListQuery): Promise<TaskListRow[]> {
    const { ownerId, status, taskType, waiting, before, limit } = query;
    if (before !== undefined && !isUuid(before)) {
      throw validationError([{ field: 'cursor', message: 'must be the nextCursor of an earlier page' }]);
    }
    const code = status === undefined ? null : TASK_STATUSES.indexOf(status);
    const values = [ownerId, code, taskType ?? null, waiting ?? null, before ?? null, limit];
    const rows = await rawRows(this.dataSource, this.sql.list, values);
    return rows.map((row) => ({ task: taskOf(row), waiting: row[AFTER_TASK_COLUMNS] === true }));
  }

  async claimHandoffs(kind: TaskHandoff, limit: number, claimMs: number): Promise<TaskRecord[]> {
    const rows = await rawRows(this.dataSource, this.sql.claim(kind), [limit, claimMs]);
    return rows.map(taskOf);
  }

  async markHandoffDelivered(taskId: string, kind: TaskHandoff, options: StoreOptions = {}): Promise<void> {
    if (options.manager !== undefined) await rawRows(options.manager, this.sql.delivered(kind), [taskId]);
    else await this.onRow(taskId, this.sql.deliveredSoon(kind), [taskId]);
  }

  async markHandoffFailed(taskId: string, kind: TaskHandoff, error: string, retryInMs: number): Promise<void> {
    await this.onRow(taskId, this.sql.failed(kind), [taskId, error.slice(0, MAX_ERROR_LENGTH), retryInMs]);
  }

  async listOverdue(limit: number, except: readonly string[] = []): Promise<string[]> {
    const rows = await rawRows(this.dataSource, this.sql.overdue, [limit, except]);
    return rows.map(([taskId]) => String(taskId));
  }

  private async insertAmongOthers(row: NewRow): Promise<TaskCreation> {
    const times = await this.inserts.insert(row.task.taskId, recordOf(row));
    if (times !== undefined) return creationOf(row, times);
    const existing = await this.findByClientRequestId(row.task.ownerId, row.task.clientRequestId);
    return existing ?? this.insert(row, this.sql.insertSoon, {});
  }

  private async insert(row: NewRow, sql: string, options: StoreOptions): Promise<TaskCreation> {
    const { taskId, ownerId, clientRequestId } = row.task;
    for (let attempt = 1; attempt <= CREATE_TRIES; attempt += 1) {
      const [times] = await preparedRows(this.source(options), sql, valuesOf(row));
      if (times !== undefined) return creationOf(row, times);
      const existing = await this.findByClientRequestId(ownerId, clientRequestId, options);
      if (existing !== undefined) return existing;
    }
    throw new TaskBridgeError('SERVICE_UNAVAILABLE', `Task ${taskId} was not created: its key keeps vanishing`);
  }

  private onRow(taskId: string, sql: string, values: unknown[]): Promise<RawRow[]> {
    return rowTurns(this.dataSource).take(taskId, () => rawRows(this.dataSource, sql, values));
  }

  private source(options: StoreOptions): DataSource | EntityManager {
    return options.manager ?? this.dataSource;
  }
}

/** A new task with its JSON, written once. */
interface NewRow {
  readonly task: NewTask;
  readonly input: string;
  readonly metadata: string;
}

function newRowOf(task: NewTask): NewRow {
  return { task, input: storableJson('input', task.input), metadata: storableJson('metadata', task.metadata) };
}

function valuesOf({ task, input, metadata }: NewRow): unknown[] {
  return [
    task.taskId,
    task.ownerId,
    task.appId,
    task.clientRequestId,
    task.taskType,
    input,
    metadata,
    task.requestHash,
    task.deadlineMs,
    task.traceparent,
    task.submissionClaimMs,
  ];
}

/** The same as an element of the statement for many. */
function recordOf({ task, input, metadata }: NewRow): string {
  const { taskId, ownerId, appId, clientRequestId, taskType, requestHash, deadlineMs, traceparent } = task;
  const columns = JSON.stringify({
    task_id: taskId,
    owner_id: ownerId,
    app_id: appId,
    client_request_id: clientRequestId,
    task_type: taskType,
    request_hash: requestHash,
    deadline_ms: deadlineMs,
    traceparent,
    claim_ms: task.submissionClaimMs,
  });
  return `${columns.slice(0, -1)},"input":${input},"metadata":${metadata}}`;
}

function creationOf({ task, input, metadata }: NewRow, times: RawRow): TaskCreation {
  return { task: createdTask(task, input, metadata, times), created: true, requestHash: task.requestHash };
}
