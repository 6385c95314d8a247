import { messageId, type MessagePlace } from './message-id.js';
import type { FinalMessage, OutboxMessage, OutputRange, TruncationMessage } from './records.js';
import type { SqliteRow } from './sqlite/sqlite-database.js';
import type { StoreDatabase } from './store-database.js';

/** A row of the outbox without its payload. */
export interface StoredMessage {
  messageNo: number;
  executionId: number;
  stream: string;
  sequence: number;
  lastSequence: number;
  byteCount: number;
}

export type MessageWithoutPayload = Omit<FinalMessage, 'payload'> | Omit<TruncationMessage, 'payload'>;

const HEAD = 'message_no, execution_id, stream, sequence, last_sequence, byte_count';
const DELIVERY = `
select m.message_no, m.kind, m.stream, m.sequence, m.last_sequence, m.dropped_chunks, m.dropped_bytes, m.byte_count,
  e.task_id, e.execution_attempt_id, e.final_status, e.exit_code, e.output_truncated, e.error_truncated,
  e.payload_truncated`;
const FROM = 'from local_task_outbox_messages m join local_task_executions e on e.id = m.execution_id';
const IN_STREAM = 'm.execution_id = ? and m.stream = ?';

/** Node 22 binds some empty arrays of bytes as null. */
const STORE = `
insert into local_task_outbox_messages
  (message_no, execution_id, kind, stream, sequence, last_sequence, byte_count, payload)
select last_message_no + 1, ?, ?, ?, ?, ?, ?, coalesce(?, x'') from local_task_spool`;
const STORE_MARKER = `
insert into local_task_outbox_messages
  (message_no, execution_id, kind, stream, sequence, last_sequence, dropped_chunks, dropped_bytes, byte_count, payload)
values (?, ?, 'truncation', ?, ?, ?, 1, ?, 0, x'')`;
const GROW_MARKER = `
update local_task_outbox_messages
set last_sequence = ?, dropped_chunks = dropped_chunks + 1, dropped_bytes = dropped_bytes + ?
where kind = 'truncation' and execution_id = ? and stream = ?`;
const REMOVE = 'delete from local_task_outbox_messages where message_no = ?';
const FIND = `
select ${HEAD} from local_task_outbox_messages where kind = ? and execution_id = ? and stream = ? and sequence = ?`;
const PAYLOAD = 'select payload from local_task_outbox_messages where message_no = ?';
const LAST_SEQUENCE = `
select max(sequence) as sequence from local_task_outbox_messages
where kind = 'output' and execution_id = ? and stream = ?`;
/** The plus keeps SQLite from gathering all chunks by the index of kinds and sorting them. */
const OLDEST_CHUNK = `
select ${HEAD} from local_task_outbox_messages
where +kind = 'output' and message_no >= (select first_chunk_no from local_task_spool) order by message_no limit 1`;
const NEXT = `${DELIVERY}, m.payload ${FROM} where m.message_no > ? order by m.message_no limit 1`;
const NEXT_CHUNK = `
${DELIVERY}, m.payload ${FROM} where m.kind = 'output' and ${IN_STREAM} and m.sequence >= ?
order by m.sequence limit 1`;
const MARKER_REACHING = `
${DELIVERY}, m.payload ${FROM} where m.kind = 'truncation' and ${IN_STREAM} and m.last_sequence >= ?
order by m.sequence limit 1`;
const OF_KIND = `${DELIVERY} ${FROM} where m.kind = ? order by m.message_no`;
const RANGES = `
select e.task_id, e.execution_attempt_id, r.stream, r.first_sequence, r.last_sequence, r.chunks
from (
  select execution_id, stream, min(sequence) as first_sequence, max(sequence) as last_sequence, count(*) as chunks
  from local_task_outbox_messages where kind = 'output' group by execution_id, stream) r
join local_task_executions e on e.id = r.execution_id
order by e.id, r.stream`;

/** The rows of `local_task_outbox_messages`. Called inside the store's transactions. */
export class OutboxMessages {
  private readonly statements;

  constructor(database: StoreDatabase) {
    this.statements = {
      store: database.prepare(STORE),
      storeMarker: database.prepare(STORE_MARKER),
      growMarker: database.prepare(GROW_MARKER),
      remove: database.prepare(REMOVE),
      find: database.prepare(FIND),
      payload: database.prepare(PAYLOAD),
      lastSequence: database.prepare(LAST_SEQUENCE),
      oldestChunk: database.prepare(OLDEST_CHUNK),
      next: database.prepare(NEXT),
      nextChunk: database.prepare(NEXT_CHUNK),
      markerReaching: database.prepare(MARKER_REACHING),
      ofKind: database.prepare(OF_KIND),
      ranges: database.prepare(RANGES),
    };
  }

  storeChunk(executionId: number, stream: string, sequence: number, payload: Uint8Array): void {
    this.statements.store.run(executionId, 'output', stream, sequence, sequence, payload.byteLength, payload);
  }

  storeFinal(executionId: number, payload: Uint8Array): void {
    this.statements.store.run(executionId, 'final', '', 0, 0, payload.byteLength, payload);
  }

  /** Notes a chunk that was removed: in its stream's truncation marker, or in a new one in the chunk's place. */
  storeDropped({ messageNo, executionId, stream, sequence, byteCount }: StoredMessage): void {
    if (this.statements.growMarker.run(sequence, byteCount, executionId, stream) > 0) return;
    this.statements.storeMarker.run(messageNo, executionId, stream, sequence, sequence, byteCount);
  }

  remove(messageNo: number): void {
    this.statements.remove.run(messageNo);
  }

  find(executionId: number, { kind, stream, sequence }: Omit<MessagePlace, keyof TaskKey>): StoredMessage | undefined {
    const row = this.statements.find.get(kind, executionId, stream, sequence);
    return row && storedMessage(row);
  }

  payload(messageNo: number): Uint8Array {
    return this.statements.payload.get(messageNo)?.['payload'] as Uint8Array;
  }

  /** The highest pending sequence number of a stream; 0 for none. */
  lastSequence(executionId: number, stream: string): number {
    return Number(this.statements.lastSequence.get(executionId, stream)?.['sequence'] ?? 0);
  }

  oldestChunk(): StoredMessage | undefined {
    const row = this.statements.oldestChunk.get();
    return row && storedMessage(row);
  }

  /** The first message after this place in the order of delivery. */
  next(messageNo: number): { messageNo: number; message: OutboxMessage } | undefined {
    const row = this.statements.next.get(messageNo);
    return row && { messageNo: Number(row['message_no']), message: outboxMessage(row) };
  }

  nextChunk(executionId: number, stream: string, fromSequence: number): OutboxMessage | undefined {
    const row = this.statements.nextChunk.get(executionId, stream, fromSequence);
    return row && outboxMessage(row);
  }

  /** The stream's truncation marker, when it reaches to this sequence number. */
  markerReaching(executionId: number, stream: string, sequence: number): OutboxMessage | undefined {
    const row = this.statements.markerReaching.get(executionId, stream, sequence);
    return row && outboxMessage(row);
  }

  finals(): Omit<FinalMessage, 'payload'>[] {
    return this.statements.ofKind.all('final').map(finalMessage);
  }

  truncations(): Omit<TruncationMessage, 'payload'>[] {
    return this.statements.ofKind.all('truncation').map(truncationMessage);
  }

  ranges(): OutputRange[] {
    return this.statements.ranges.all().map((row) => ({
      taskId: String(row['task_id']),
      executionAttemptId: String(row['execution_attempt_id']),
      stream: String(row['stream']),
      firstSequence: Number(row['first_sequence']),
      lastSequence: Number(row['last_sequence']),
      chunks: Number(row['chunks']),
    }));
  }
}

interface TaskKey {
  taskId: string;
  executionAttemptId: string;
}

function storedMessage(row: SqliteRow): StoredMessage {
  return {
    messageNo: Number(row['message_no']),
    executionId: Number(row['execution_id']),
    stream: String(row['stream']),
    sequence: Number(row['sequence']),
    lastSequence: Number(row['last_sequence']),
    byteCount: Number(row['byte_count']),
  };
}

function outboxMessage(row: SqliteRow): OutboxMessage {
  const payload = row['payload'] as Uint8Array;
  if (row['kind'] === 'final') return { ...finalMessage(row), payload };
  if (row['kind'] === 'truncation') return { ...truncationMessage(row), payload };
  const { stream, sequence, ...fields } = messageFields(row);
  return { type: 'output', ...fields, stream, sequence, payload };
}

function finalMessage(row: SqliteRow): Omit<FinalMessage, 'payload'> {
  const { messageId: id, taskId, executionAttemptId, byteCount } = messageFields(row);
  return {
    type: 'final',
    messageId: id,
    taskId,
    executionAttemptId,
    status: String(row['final_status']),
    exitCode: row['exit_code'] as number | null,
    outputTruncated: row['output_truncated'] === 1,
    errorTruncated: row['error_truncated'] === 1,
    payloadTruncated: row['payload_truncated'] === 1,
    byteCount,
  };
}

function truncationMessage(row: SqliteRow): Omit<TruncationMessage, 'payload'> {
  return {
    type: 'truncation',
    ...messageFields(row),
    lastSequence: Number(row['last_sequence']),
    droppedChunks: Number(row['dropped_chunks']),
    droppedBytes: Number(row['dropped_bytes']),
  };
}

function messageFields(row: SqliteRow) {
  const place: MessagePlace = {
    taskId: String(row['task_id']),
    executionAttemptId: String(row['execution_attempt_id']),
    kind: row['kind'] as MessagePlace['kind'],
    stream: String(row['stream']),
    sequence: Number(row['sequence']),
    lastSequence: Number(row['last_sequence']),
  };
  const { taskId, executionAttemptId, stream, sequence } = place;
  return {
    messageId: messageId(place),
    taskId,
    executionAttemptId,
    stream,
    sequence,
    byteCount: Number(row['byte_count']),
  };
}
