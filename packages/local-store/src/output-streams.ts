import { messageId } from './message-id.js';
import type { OutboxMessages } from './outbox-messages.js';
import type { OutputChunk, TaskAttempt } from './records.js';
import type { StoreDatabase } from './store-database.js';
import type { TaskExecutions } from './task-executions.js';

/** A stream of a running task. */
export interface OutputStream {
  executionId: number;
  name: string;
  /** The highest number that it has had; 0 for a new stream. */
  lastSequence: number;
  /** What comes before the sequence in the ids of its chunks. */
  idPrefix: string;
}

const MAX_REMEMBERED = 1024;
const LAST = 'select last_sequence from local_task_streams where execution_id = ? and stream = ?';
const NOTE = `
insert into local_task_streams (execution_id, stream, last_sequence) values (?, ?, ?)
on conflict do update set last_sequence = max(last_sequence, excluded.last_sequence)`;
const FORGET = 'delete from local_task_streams where execution_id = ?';

/** The streams of running tasks: those written to last are remembered, so that an append reads nothing. */
export class OutputStreams {
  /** By task, attempt and name: no key is put together for each append. */
  private readonly remembered = new Map<string, Map<string, Map<string, OutputStream>>>();
  private rememberedStreams = 0;
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
    const { taskId, executionAttemptId, stream } = chunk;
    const known = this.remembered.get(taskId)?.get(executionAttemptId)?.get(stream);
    return known ?? this.remember(chunk, this.read(chunk));
  }

  /** A chunk has left: keeps its number where no higher one of its stream is pending. Numbers are never used again. */
  chunkLeft(executionId: number, stream: string, sequence: number): void {
    if (this.pending(executionId, stream) < sequence) this.statements.note.run(executionId, stream, sequence);
  }

  /** The task has ended: nothing can be appended any more. */
  ended(executionId: number): void {
    this.statements.forget.run(executionId);
    this.forgetRemembered();
  }

  /** After a change that failed: what is remembered may not be in the file. */
  forgetRemembered(): void {
    this.remembered.clear();
    this.rememberedStreams = 0;
  }

  private read(chunk: Omit<OutputChunk, 'payload'>): OutputStream {
    const { id: executionId } = this.executions.require(chunk, 'running');
    const { taskId, executionAttemptId, stream: name } = chunk;
    const first = { taskId, executionAttemptId, kind: 'output' as const, stream: name, sequence: 1, lastSequence: 1 };
    return {
      executionId,
      name,
      lastSequence: Math.max(this.noted(executionId, name), this.pending(executionId, name)),
      idPrefix: messageId(first).slice(0, -1),
    };
  }

  private remember({ taskId, executionAttemptId }: TaskAttempt, stream: OutputStream): OutputStream {
    if (this.rememberedStreams >= MAX_REMEMBERED) this.forgetRemembered();
    this.rememberedStreams += 1;
    const attempts = entry(this.remembered, taskId, () => new Map<string, Map<string, OutputStream>>());
    entry(attempts, executionAttemptId, () => new Map<string, OutputStream>()).set(stream.name, stream);
    return stream;
  }

  private pending(executionId: number, stream: string): number {
    return this.messages.lastSequence(executionId, stream);
  }

  private noted(executionId: number, stream: string): number {
    return Number(this.statements.last.get(executionId, stream)?.['last_sequence'] ?? 0);
  }
}

function entry<T>(map: Map<string, T>, key: string, create: () => T): T {
  const known = map.get(key);
  if (known !== undefined) return known;
  const created = create();
  map.set(key, created);
  return created;
}
