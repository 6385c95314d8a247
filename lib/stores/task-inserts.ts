import type { DataSource } from 'typeorm';
import { preparedRows, type RawRow } from './raw-query.js';

/** A new row as the statement takes it, and its caller. */
interface WaitingInsert {
  readonly taskId: string;
  readonly record: string;
  readonly resolve: (created: RawRow | undefined) => void;
  readonly reject: (error: unknown) => void;
}

/** More gain nothing, and make every one of them wait for the whole statement. */
const MAX_ROWS = 100;
const MAX_BYTES = 256 * 1_024;

/**
 * Inserts tasks for all requests of this process, one statement at a time: while one is under way, rows gather for the
 * next. One commit for many costs a fraction of one for each; a single row is inserted at once.
 */
export class TaskInserts {
  private waiting: WaitingInsert[] = [];
  private isWorking = false;

  constructor(
    private readonly dataSource: DataSource,
    /** Takes a JSON list of rows and returns a row per task that it has created, the task's id first. */
    private readonly statement: string,
  ) {}

  /**
   * Resolves with what the statement returns after the id, or with `undefined` where the key exists. Rejects when the
   * whole statement fails: nothing was written then, whoever of those in it is to blame.
   */
  insert(taskId: string, record: string): Promise<RawRow | undefined> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ taskId, record, resolve, reject });
      if (!this.isWorking) void this.work();
    });
  }

  private async work(): Promise<void> {
    this.isWorking = true;
    // Whatever else this turn of the event loop brings belongs to the same statement.
    await Promise.resolve();
    while (this.waiting.length > 0) await this.send(this.take());
    this.isWorking = false;
  }

  private take(): WaitingInsert[] {
    let [end, bytes] = [0, 0];
    while (end < this.waiting.length && end < MAX_ROWS) {
      bytes += this.waiting[end]?.record.length ?? 0;
      if (end > 0 && bytes > MAX_BYTES) break;
      end += 1;
    }
    return this.waiting.splice(0, end);
  }

  private async send(inserts: readonly WaitingInsert[]): Promise<void> {
    try {
      const records = `[${inserts.map(({ record }) => record).join(',')}]`;
      const rows = await preparedRows(this.dataSource, this.statement, [records]);
      const created = new Map(rows.map(([taskId, ...columns]) => [taskId, columns]));
      for (const { taskId, resolve } of inserts) resolve(created.get(taskId));
    } catch (error) {
      for (const { reject } of inserts) reject(error);
    }
  }
}
