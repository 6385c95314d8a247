import type { OutboxMessages } from './outbox-messages.js';
import type { OutputChunk } from './records.js';
import type { StoreDatabase } from './store-database.js';
import type { TaskExecutions } from './task-executions.js';

/** A stream of a running task. */
export interface OutputStream {
  executionId: number;
  name: string;
  /** The highest number that it has had; 0 for a new stream. */
  lastSequence: number;
}

const MAX_REMEMBERED = 1024;
const LAST = 'select last_sequence from local_task_streams where execution_id = ? and stream = ?';
const NOTE = `
insert into local_task_streams (execution_id, stream, last_sequence) values (?, ?, ?)
on conflict do update set last_sequence = max(last_sequence, excluded.last_sequence)`;
const FORGET = 'delete from local_task_streams where execution_id = ?';

/** The streams of running tasks: those written to last are remembered, so that an append reads nothing. */
export class OutputStreams {
  private readonly remembered = new Map<string, OutputStream>();
  private readonly statements;

  constructor(
    database: StoreDatabase,
    private readonly executions: TaskExecutions,
    private readonly messages: OutboxMessages,
  ) {
    this.statements = {
      last: database.prepare(LAST),
      note: database.prepare(NOTE),
      forget: database.prepare(FORGET),
    };
  }

  /** @throws UnknownTaskError, TaskStateConflictError unless the task runs. */
  require(chunk: Omit<OutputChunk, 'payload'>): OutputStream {
    // No name has a NUL in it.
    const key = `${chunk.taskId}\0${chunk.executionAttemptId}\0${chunk.stream}`;
    const known = this.remembered.get(key);
    if (known !== undefined) return known;
    const { id: executionId } = this.executions.require(chunk, 'running');
    const lastSequence = Math.max(this.noted(executionId, chunk.stream), this.pending(executionId, chunk.stream));
    const stream = { executionId, name: chunk.stream, lastSequence };
    if (this.remembered.size >= MAX_REMEMBERED) this.remembered.clear();
    this.remembered.set(key, stream);
    return stream;
  }

  /** A chunk has left: keeps its number where no higher one of its stream is pending. Numbers are never used again. */
  chunkLeft(executionId: number, stream: string, sequence: number): void {
    if (this.pending(executionId, stream) < sequence) this.statements.note.run(executionId, stream, sequence);
  }

  /** The task has ended: nothing can be appended any more. */
  ended(executionId: number): void {
    this.statements.forget.run(executionId);
    this.remembered.clear();
  }

  /** After a change that failed: what is remembered may not be in the file. */
  forgetRemembered(): void {
    this.remembered.clear();
  }

  private pending(executionId: number, stream: string): number {
    return this.messages.lastSequence(executionId, stream);
  }

  private noted(executionId: number, stream: string): number {
    return Number(this.statements.last.get(executionId, stream)?.['last_sequence'] ?? 0);
  }
}
