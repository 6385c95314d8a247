import type { DataSource, EntityManager } from 'typeorm';

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
  if (isInTransaction(manager)) return manager.transaction(work);
  return (manager ?? dataSource.manager).transaction('READ COMMITTED', work);
}
