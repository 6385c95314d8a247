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
/** A statement that takes longer keeps nobody waiting any more: the next one starts on another connection; in ms. */
const SLOW_MS = 50;
/** Its connection may be dead: whoever is in it is told to try elsewhere, in ms. */
const GIVE_UP_MS = 1_000;

/**
 * Inserts tasks for all requests of this process together: while a statement is under way, rows gather for the next. One
 * commit for many costs a fraction of one for each; a single row is inserted at once.
 */
export class TaskInserts {
  private waiting: WaitingInsert[] = [];
  /** When each statement that is under way has begun. */
  private readonly running = new Set<{ readonly sinceMs: number }>();
  private next: NodeJS.Timeout | undefined;
  private isStarting = false;
  /** Rows per statement: fewer while rows are slow, as with a trigger of the host's. */
  private maxRows = MAX_ROWS;
  private idleListeners: (() => void)[] = [];

  constructor(
    private readonly dataSource: DataSource,
    /** Takes a JSON list of rows and returns a row per task that it has created, the task's id first. */
    private readonly statement: string,
  ) {}

  /**
   * Resolves with what the statement returns after the id, or with `undefined` where the key exists. Rejects when the
   * whole statement fails or takes too long, whoever of those in it is to blame; the row may be there or yet come then.
   */
  insert(taskId: string, record: string): Promise<RawRow | undefined> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ taskId, record, resolve, reject });
      this.schedule();
    });
  }

  /** Resolves when everything so far has been answered. */
  async settled(): Promise<void> {
    if (this.waiting.length > 0 || this.running.size > 0) {
      await new Promise<void>((resolve) => this.idleListeners.push(resolve));
    }
  }

  private schedule(): void {
    if (this.isStarting || this.waiting.length === 0) return;
    const pauseMs = this.pauseMs();
    if (pauseMs > 0) {
      this.next ??= setTimeout(() => this.again(), pauseMs);
      return;
    }
    this.isStarting = true;
    // Whatever else this turn of the event loop brings belongs to the same statement.
    queueMicrotask(() => void this.start());
  }

  /** None while nothing is under way, else what the newest statement still has before it counts as slow. */
  private pauseMs(): number {
    const newestMs = Math.max(...[...this.running].map(({ sinceMs }) => sinceMs));
    return this.running.size === 0 ? 0 : newestMs + SLOW_MS - performance.now();
  }

  private again(): void {
    clearTimeout(this.next);
    this.next = undefined;
    this.schedule();
  }

  private async start(): Promise<void> {
    this.isStarting = false;
    const statement = { sinceMs: performance.now() };
    this.running.add(statement);
    const sent = this.send(this.take());
    this.again();
    await sent;
    this.running.delete(statement);
    const isSlow = performance.now() - statement.sinceMs > SLOW_MS;
    this.maxRows = isSlow ? Math.ceil(this.maxRows / 2) : Math.min(MAX_ROWS, this.maxRows * 2);
    this.again();
    if (this.running.size === 0 && this.waiting.length === 0) for (const tell of this.idleListeners.splice(0)) tell();
  }

  private take(): WaitingInsert[] {
    let [end, bytes] = [0, 0];
    while (end < this.waiting.length && end < this.maxRows) {
      bytes += this.waiting[end]?.record.length ?? 0;
      if (end > 0 && bytes > MAX_BYTES) break;
      end += 1;
    }
    return this.waiting.splice(0, end);
  }

  /** Never rejects. */
  private async send(inserts: readonly WaitingInsert[]): Promise<void> {
    const rejectAll = (error: unknown): void => {
      for (const { reject } of inserts) reject(error);
    };
    const timer = setTimeout(() => rejectAll(new Error('The insert takes too long')), GIVE_UP_MS);
    try {
      const records = `[${inserts.map(({ record }) => record).join(',')}]`;
      const rows = await preparedRows(this.dataSource, this.statement, [records]);
      const created = new Map(rows.map(([taskId, ...columns]) => [taskId, columns]));
      for (const { taskId, resolve } of inserts) resolve(created.get(taskId));
    } catch (error) {
      rejectAll(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
