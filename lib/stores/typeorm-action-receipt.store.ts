import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { ActionReceiptStore } from './action-receipt.store.js';
import { storableJson } from './append-command.js';
import type { StoreOptions } from './event.store.js';
import { rawCount, rawRows } from './raw-query.js';
import type { TaskActionReceipt } from './records.js';
import { RECEIPT_COLUMNS, receiptOf } from './resume-row.js';
import { tableNames } from './table-names.js';

/** The receipts in Postgres. */
@Injectable()
export class TypeOrmActionReceiptStore extends ActionReceiptStore {
  private readonly getSql: string;
  private readonly getLockedSql: string;
  private readonly listSql: string;
  private readonly saveSql: string;
  private readonly deleteSql: string;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    super();
    const t = tableNames(dataSource);
    const ofTask = `select ${RECEIPT_COLUMNS} from ${t.receipts} r where r.task_id = $1`;
    this.getSql = `${ofTask} and r.client_action_id = $2`;
    this.getLockedSql = `${this.getSql} for no key update of r`;
    this.listSql = `${ofTask} order by r.event_seq`;
    // Writes a receipt unless its action or its suspension has one; times in epoch ms.
    this.saveSql = `
insert into ${t.receipts} (task_id, client_action_id, suspend_id, action_type, payload, metadata, request_hash,
  event_seq, accepted_by, accepted_at, resume_state, resume_attempts, resume_next_try_at, resume_last_error)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10::float8 / 1000), $11, $12,
  to_timestamp($13::float8 / 1000), $14)
on conflict do nothing`;
    // Receipts of tasks that ended $1 ms ago and have nothing left to deliver.
    this.deleteSql = `
with old as materialized (
  select r.task_id, r.client_action_id from ${t.tasks} t join ${t.receipts} r on r.task_id = t.task_id
  where t.finished_at <= (select clock_timestamp() - $1::float8 * interval '1 millisecond') and r.resume_state <> 1
  limit $2 for update of r skip locked
)
delete from ${t.receipts} r using old where r.task_id = old.task_id and r.client_action_id = old.client_action_id`;
  }

  async getReceipt(
    taskId: string,
    clientActionId: string,
    options: StoreOptions & { lock?: boolean } = {},
  ): Promise<TaskActionReceipt | undefined> {
    if (!isUuid(taskId)) return undefined;
    const sql = options.lock === true ? this.getLockedSql : this.getSql;
    const [row] = await rawRows(options.manager ?? this.dataSource, sql, [taskId, clientActionId]);
    return row === undefined ? undefined : receiptOf(row);
  }

  async listReceipts(taskId: string, options: StoreOptions = {}): Promise<TaskActionReceipt[]> {
    if (!isUuid(taskId)) return [];
    return (await rawRows(options.manager ?? this.dataSource, this.listSql, [taskId])).map(receiptOf);
  }

  async saveReceipt(receipt: TaskActionReceipt, options: StoreOptions = {}): Promise<boolean> {
    return (await rawCount(options.manager ?? this.dataSource, this.saveSql, valuesOf(receipt))) === 1;
  }

  deleteExpiredReceipts(olderThanMs: number, limit: number): Promise<number> {
    return rawCount(this.dataSource, this.deleteSql, [olderThanMs, limit]);
  }
}

function valuesOf(receipt: TaskActionReceipt): unknown[] {
  const { resume } = receipt;
  return [
    receipt.taskId,
    receipt.clientActionId,
    receipt.suspendId,
    receipt.actionType,
    receipt.payload === null ? null : storableJson('payload', receipt.payload),
    receipt.metadata === null ? null : storableJson('metadata', receipt.metadata),
    receipt.requestHash,
    receipt.eventSeq,
    receipt.acceptedBy,
    receipt.acceptedAt.getTime(),
    resume.state,
    resume.attempts,
    resume.nextTryAt?.getTime() ?? null,
    resume.lastError,
  ];
}
