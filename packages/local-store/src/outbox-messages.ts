import { messageId, type MessagePlace } from './message-id.js';
import type { FinalMessage, OutboxMessage, OutputRange, TruncationMessage } from './records.js';
import type { SpoolCounters } from './spool-counters.js';
import type { SqliteRow } from './sqlite/sqlite-database.js';
import type { StoreDatabase } from './store-database.js';

/** A row of the outbox without its payload. */
export interface StoredMessage {
  messageNo: number;
  executionId: number;
  kind: MessagePlace['kind'];
  stream: string;
  sequence: number;
  lastSequence: number;
  byteCount: number;
}

export type MessageWithoutPayload = Omit<FinalMessage, 'payload'> | Omit<TruncationMessage, 'payload'>;

/** Chunks of one stream, the first and last of them, that were removed together. */
export interface DroppedChunks {
  executionId: number;
  stream: string;
  firstMessageNo: number;
  firstSequence: number;
  lastSequence: number;
  chunks: number;
  bytes: number;
}

const HEAD = 'message_no, execution_id, kind, stream, sequence, last_sequence, byte_count';
const DELIVERY = `
select m.message_no, m.execution_id, m.kind, m.stream, m.sequence, m.last_sequence, m.dropped_chunks, m.dropped_bytes, m.byte_count,
  e.task_id, e.execution_attempt_id, e.final_status, e.exit_code, e.output_truncated, e.error_truncated,
  e.payload_truncated`;
const FROM = 'from local_task_outbox_messages m join local_task_executions e on e.id = m.execution_id';
const IN_STREAM = 'm.execution_id = ? and m.stream = ?';

/** Node 22 binds some empty arrays of bytes as null. Few values are bound, as each costs time in an append. */
const STORE_CHUNK = `
insert into local_task_outbox_messages
  (message_no, execution_id, kind, stream, sequence, last_sequence, byte_count, payload)
values (?1, ?2, 'output', ?3, ?4, ?4, coalesce(length(?5), 0), coalesce(?5, x''))`;
const STORE_FINAL = `
insert into local_task_outbox_messages
  (message_no, execution_id, kind, byte_count, payload)
values (?1, ?2, 'final', coalesce(length(?3), 0), coalesce(?3, x''))`;
const STORE_MARKER = `
insert into local_task_outbox_messages
  (message_no, execution_id, kind, stream, sequence, last_sequence, dropped_chunks, dropped_bytes, byte_count, payload)
values (?, ?, 'truncation', ?, ?, ?, ?, ?, 0, x'')`;
const GROW_MARKER = `
update local_task_outbox_messages
set last_sequence = ?, dropped_chunks = dropped_chunks + ?, dropped_bytes = dropped_bytes + ?
where execution_id = ? and kind = 'truncation' and stream = ?`;
const REMOVE = 'delete from local_task_outbox_messages where message_no = ?';
const REMOVE_CHUNKS = `
delete from local_task_outbox_messages where message_no between ? and ? and +kind = 'output'`;
const FIND = `
select ${HEAD} from local_task_outbox_messages where execution_id = ? and kind = ? and stream = ? and sequence = ?`;
const PAYLOAD = 'select payload from local_task_outbox_messages where message_no = ?';
const LAST_SEQUENCE = `
select max(sequence) as sequence from local_task_outbox_messages
where execution_id = ? and kind = 'output' and stream = ?`;
/** The plus keeps SQLite from gathering all chunks by the index of kinds and sorting them. */
const OLDEST_CHUNKS = `
select ${HEAD} from local_task_outbox_messages
where +kind = 'output' and message_no > ? order by message_no limit ?`;
const NEXT = `${DELIVERY}, m.payload ${FROM} where m.message_no > ? order by m.message_no limit 1`;
const NEXT_CHUNK = `
${DELIVERY}, m.payload ${FROM} where m.kind = 'output' and ${IN_STREAM} and m.sequence >= ?
order by m.sequence limit 1`;
const MARKER_REACHING = `
${DELIVERY}, m.payload ${FROM} where m.kind = 'truncation' and ${IN_STREAM} and m.last_sequence >= ?
order by m.sequence limit 1`;
const MARKERS_UP_TO = `
${DELIVERY}, m.payload ${FROM} where m.execution_id = ? and m.kind = 'truncation' and m.message_no <= ?
order by m.message_no`;
/** The condition of their index comes first. */
const FINALS = `${DELIVERY} ${FROM} where m.kind <> 'output' and m.kind = 'final' order by m.message_no`;
const MARKERS = `${DELIVERY} ${FROM} where m.kind <> 'output' and m.kind = 'truncation' order by m.message_no`;
const RANGES = `
select e.task_id, e.execution_attempt_id, r.stream, r.first_sequence, r.last_sequence, r.chunks
from (
  select execution_id, stream, min(sequence) as first_sequence, max(sequence) as last_sequence, count(*) as chunks
  from local_task_outbox_messages where kind = 'output' group by execution_id, kind, stream) r
join local_task_executions e on e.id = r.execution_id
order by e.id, r.stream`;

/** The rows of `local_task_outbox_messages`. Called inside the store's transactions. */
export class OutboxMessages {
  private readonly statements;

  constructor(
    database: StoreDatabase,
    private readonly counters: SpoolCounters,
  ) {
    this.statements = {
      storeChunk: database.prepare(STORE_CHUNK),
      storeFinal: database.prepare(STORE_FINAL),
      storeMarker: database.prepare(STORE_MARKER),
      growMarker: database.prepare(GROW_MARKER),
      remove: database.prepare(REMOVE),
      removeChunks: database.prepare(REMOVE_CHUNKS),
      find: database.prepare(FIND),
      payload: database.prepare(PAYLOAD),
      lastSequence: database.prepare(LAST_SEQUENCE),
      oldestChunks: database.prepare(OLDEST_CHUNKS),
      next: database.prepare(NEXT),
      nextChunk: database.prepare(NEXT_CHUNK),
      markerReaching: database.prepare(MARKER_REACHING),
      markersUpTo: database.prepare(MARKERS_UP_TO),
      finals: database.prepare(FINALS),
      markers: database.prepare(MARKERS),
      ranges: database.prepare(RANGES),
    };
  }

  storeChunk(executionId: number, stream: string, sequence: number, payload: Uint8Array): void {
    const messageNo = this.counters.current.lastMessageNo + 1;
    this.statements.storeChunk.run(messageNo, executionId, stream, sequence, payload);
    this.counters.chunkStored(messageNo, payload.byteLength);
  }

  storeFinal(executionId: number, payload: Uint8Array): void {
    const messageNo = this.counters.current.lastMessageNo + 1;
    this.statements.storeFinal.run(messageNo, executionId, payload);
    this.counters.finalStored(messageNo, payload.byteLength);
  }

  /** Notes chunks that were removed: in their stream's truncation marker, or in a new one in the first one's place. */
  storeDropped(dropped: DroppedChunks): void {
    const { executionId, stream, firstMessageNo, firstSequence, lastSequence, chunks, bytes } = dropped;
    if (this.statements.growMarker.run(lastSequence, chunks, bytes, executionId, stream) > 0) return;
    this.statements.storeMarker.run(firstMessageNo, executionId, stream, firstSequence, lastSequence, chunks, bytes);
    this.counters.markerStored();
  }

  remove({ messageNo, kind, byteCount }: StoredMessage): void {
    this.statements.remove.run(messageNo);
    if (kind === 'output') this.counters.chunksRemoved(1, byteCount);
    else if (kind === 'final') this.counters.finalRemoved(byteCount);
    else this.counters.markerRemoved();
  }

  /** Removes all chunks from one number to another, which are so many. */
  removeChunks(firstNo: number, lastNo: number, chunks: number, bytes: number): void {
    this.statements.removeChunks.run(firstNo, lastNo);
    this.counters.chunksRemoved(chunks, bytes);
  }

  find(executionId: number, { kind, stream, sequence }: Omit<MessagePlace, keyof TaskKey>): StoredMessage | undefined {
    const row = this.statements.find.get(executionId, kind, stream, sequence);
    return row && storedMessage(row);
  }

  payload(messageNo: number): Uint8Array {
    return this.statements.payload.get(messageNo)?.['payload'] as Uint8Array;
  }

  /** The highest pending sequence number of a stream; 0 for none. */
  lastSequence(executionId: number, stream: string): number {
    return Number(this.statements.lastSequence.get(executionId, stream)?.['sequence'] ?? 0);
  }

  /** The first chunks after this place, in their order. */
  oldestChunks(messageNo: number, limit: number): StoredMessage[] {
    return this.statements.oldestChunks.all(messageNo, limit).map(storedMessage);
  }

  /** The first message after this place in the order of delivery. */
  next(messageNo: number): { messageNo: number; executionId: number; message: OutboxMessage } | undefined {
    const row = this.statements.next.get(messageNo);
    return (
      row && {
        messageNo: Number(row['message_no']),
        executionId: Number(row['execution_id']),
        message: outboxMessage(row),
      }
    );
  }

  /** The truncation markers of an execution up to this place. */
  markersUpTo(executionId: number, messageNo: number): OutboxMessage[] {
    return this.statements.markersUpTo.all(executionId, messageNo).map(outboxMessage);
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
    return this.statements.finals.all().map(finalMessage);
  }

  truncations(): Omit<TruncationMessage, 'payload'>[] {
    return this.statements.markers.all().map(truncationMessage);
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
    kind: row['kind'] as StoredMessage['kind'],
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
