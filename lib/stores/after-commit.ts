import { Inject, Injectable, Logger } from '@nestjs/common';
import type { OnApplicationShutdown } from '@nestjs/common';
import type { DataSource, EntityManager, EntitySubscriberInterface, QueryRunner } from 'typeorm';
import { messageOf } from '../taskbridge.errors.js';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';

interface Waiting {
  /** Nesting of the transaction that must be kept for this to run: 1 is the outermost. */
  depth: number;
  work: () => unknown;
}

interface OpenTransaction {
  depth: number;
  waiting: Waiting[];
}

/**
 * Runs work once what a transaction has written is durable. The work runs on a later turn of the event loop, so that
 * it never delays or fails the commit, and is dropped with the transaction, or savepoint, that is rolled back.
 */
@Injectable()
export class AfterCommit implements OnApplicationShutdown {
  private readonly logger = new Logger(AfterCommit.name);
  private readonly open = new WeakMap<QueryRunner, OpenTransaction>();
  private readonly subscriber: EntitySubscriberInterface = {
    afterTransactionStart: ({ queryRunner }) => this.started(queryRunner),
    afterTransactionCommit: ({ queryRunner }) => this.committed(queryRunner),
    afterTransactionRollback: ({ queryRunner }) => this.rolledBack(queryRunner),
  };

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    dataSource.subscribers.push(this.subscriber);
  }

  /** Without an active transaction the work runs on the next turn. Its failure is logged, never thrown. */
  run(manager: EntityManager | undefined, work: () => unknown): void {
    const runner = manager?.queryRunner;
    if (runner === undefined || !runner.isTransactionActive) {
      this.schedule([{ depth: 0, work }]);
      return;
    }
    const transaction = this.of(runner);
    transaction.waiting.push({ depth: transaction.depth, work });
  }

  /** Late, so that the last transactions of a shutdown still wake their followers. */
  onApplicationShutdown(): void {
    const index = this.dataSource.subscribers.indexOf(this.subscriber);
    if (index >= 0) this.dataSource.subscribers.splice(index, 1);
  }

  private started(runner: QueryRunner): void {
    const known = this.open.get(runner);
    if (known === undefined) this.open.set(runner, { depth: 1, waiting: [] });
    else known.depth += 1;
  }

  /** TypeORM also tells of released savepoints: only when no transaction is active is anything durable. */
  private committed(runner: QueryRunner): void {
    const transaction = this.of(runner);
    if (runner.isTransactionActive) {
      transaction.depth -= 1;
      for (const waiting of transaction.waiting) waiting.depth = Math.min(waiting.depth, transaction.depth);
      return;
    }
    this.open.delete(runner);
    this.schedule(transaction.waiting);
  }

  private rolledBack(runner: QueryRunner): void {
    if (!runner.isTransactionActive) {
      this.open.delete(runner);
      return;
    }
    const transaction = this.of(runner);
    transaction.depth -= 1;
    transaction.waiting = transaction.waiting.filter(({ depth }) => depth <= transaction.depth);
  }

  private of(runner: QueryRunner): OpenTransaction {
    const known = this.open.get(runner) ?? { depth: 1, waiting: [] };
    this.open.set(runner, known);
    return known;
  }

  private schedule(waiting: readonly Waiting[]): void {
    for (const { work } of waiting) setImmediate(() => void this.perform(work));
  }

  private async perform(work: () => unknown): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.logger.error({ message: 'Work after a commit failed', reason: messageOf(error) });
    }
  }
}
