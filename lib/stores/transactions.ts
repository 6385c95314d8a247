import type { DataSource, EntityManager } from 'typeorm';
import { poolWork } from './pool-work.js';
import { rawRows } from './raw-query.js';
import { ROW_LOCK_TIMEOUT_MS, rowTurns } from './row-turns.js';

/** Whether work with this manager belongs to a transaction that is open now. */
export function isInTransaction(manager: EntityManager | undefined): manager is EntityManager {
  return manager?.queryRunner?.isTransactionActive === true;
}

/**
 * Runs `work` in one READ COMMITTED transaction: a savepoint of the manager's when that has one open, so that a refusal
 * leaves nothing behind even when the caller goes on; else one of its own.
 */
export function inTransaction<T>(
  dataSource: DataSource,
  manager: EntityManager | undefined,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  if (manager?.queryRunner !== undefined) {
    return manager.queryRunner.isTransactionActive
      ? manager.transaction(work)
      : manager.transaction('READ COMMITTED', work);
  }
  return poolWork(dataSource).transaction('READ COMMITTED', work);
}

/**
 * The same for work that locks one task's row. In a transaction of its own it waits for the row as `RowTurns.take`
 * does, so `work` may be called several times; a transaction of the caller's keeps the caller's time-outs.
 */
export function withTaskRow<T>(
  dataSource: DataSource,
  {
    taskId,
    manager,
    patienceMs,
  }: { taskId: string; manager?: EntityManager | undefined; patienceMs?: number | undefined },
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  if (manager?.queryRunner !== undefined) return inTransaction(dataSource, manager, work);
  const attempt = (own: EntityManager): Promise<T> =>
    rawRows(own, SET_LOCK_TIMEOUT, [String(ROW_LOCK_TIMEOUT_MS)]).then(() => work(own));
  return rowTurns(dataSource).take(taskId, () => inTransaction(dataSource, undefined, attempt), patienceMs);
}

/** Until the end of the transaction. */
const SET_LOCK_TIMEOUT = `select set_config('lock_timeout', $1, true)`;
