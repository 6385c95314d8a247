import type { StoreDatabase } from './store-database.js';

/** What the store holds, in numbers. */
export interface SpoolCounts {
  lastMessageNo: number;
  /** No pending chunk comes before it. */
  firstChunkNo: number;
  pendingMessages: number;
  pendingChunks: number;
  pendingFinals: number;
  chunkBytes: number;
  finalBytes: number;
  openTasks: number;
  /** Set aside for the finals of open tasks. */
  reservedBytes: number;
  rotatedChunks: number;
  rotatedBytes: number;
}

const READ = 'select * from local_task_spool';
/** Chunks only: every other change writes the counters as well. */
const COUNT_AFTER = `
select count(*) as chunks, coalesce(sum(byte_count), 0) as bytes, max(message_no) as last_no
from local_task_outbox_messages where message_no > ?`;
const SUM_RESERVES = `
select coalesce(sum(reserve_bytes), 0) as bytes
from local_task_executions where status in ('received', 'running')`;
const SAVE = `
update local_task_spool
set last_message_no = ?, first_chunk_no = ?, pending_messages = ?, pending_chunks = ?, pending_finals = ?,
  chunk_bytes = ?, final_bytes = ?, open_tasks = ?, rotated_chunks = ?, rotated_bytes = ?`;

/**
 * The spool's numbers. They are kept in memory, as no other process changes the file, and in one row, which each
 * transaction writes. A chunk that is stored alone does not write it: what comes after the row's `last_message_no` is
 * counted at the next opening, by the sizes in the rows and no payload.
 */
export class SpoolCounters {
  private counts: SpoolCounts;
  private saved: SpoolCounts;
  private readonly saveRow;

  constructor(database: StoreDatabase) {
    this.saveRow = database.prepare(SAVE);
    const { counts, lastSavedNo } = readCounts(database);
    this.counts = counts;
    this.saved = { ...counts, lastMessageNo: lastSavedNo };
  }

  get current(): Readonly<SpoolCounts> {
    return this.counts;
  }

  /** Chunks that the row does not count yet. */
  get unsavedChunks(): number {
    return this.counts.lastMessageNo - this.saved.lastMessageNo;
  }

  /** Called inside each transaction, as the last of it. */
  save(): void {
    const { counts, saved } = this;
    const names = Object.keys(counts) as (keyof SpoolCounts)[];
    if (names.every((name) => counts[name] === saved[name])) return;
    this.saveRow.run(
      counts.lastMessageNo,
      counts.firstChunkNo,
      counts.pendingMessages,
      counts.pendingChunks,
      counts.pendingFinals,
      counts.chunkBytes,
      counts.finalBytes,
      counts.openTasks,
      counts.rotatedChunks,
      counts.rotatedBytes,
    );
  }

  /** Runs a transaction that ends with {@link save}; the numbers are as before when it fails. */
  following<T>(transaction: () => T): T {
    const before = { ...this.counts };
    try {
      const result = transaction();
      this.saved = { ...this.counts };
      return result;
    } catch (error) {
      this.counts = before;
      throw error;
    }
  }

  chunkStored(messageNo: number, bytes: number): void {
    this.counts.lastMessageNo = messageNo;
    this.counts.pendingMessages += 1;
    this.counts.pendingChunks += 1;
    this.counts.chunkBytes += bytes;
  }

  finalStored(messageNo: number, bytes: number): void {
    this.counts.lastMessageNo = messageNo;
    this.counts.pendingMessages += 1;
    this.counts.pendingFinals += 1;
    this.counts.finalBytes += bytes;
  }

  markerStored(): void {
    this.counts.pendingMessages += 1;
  }

  chunksRemoved(chunks: number, bytes: number): void {
    this.counts.pendingMessages -= chunks;
    this.counts.pendingChunks -= chunks;
    this.counts.chunkBytes -= bytes;
  }

  finalRemoved(bytes: number): void {
    this.counts.pendingMessages -= 1;
    this.counts.pendingFinals -= 1;
    this.counts.finalBytes -= bytes;
  }

  markerRemoved(): void {
    this.counts.pendingMessages -= 1;
  }

  /** Besides {@link chunksRemoved}. */
  chunksRotated(chunks: number, bytes: number, lastNo: number): void {
    this.counts.rotatedChunks += chunks;
    this.counts.rotatedBytes += bytes;
    this.counts.firstChunkNo = lastNo;
  }

  taskOpened(reserveBytes: number): void {
    this.counts.openTasks += 1;
    this.counts.reservedBytes += reserveBytes;
  }

  taskClosed(reserveBytes: number): void {
    this.counts.openTasks -= 1;
    this.counts.reservedBytes -= reserveBytes;
  }
}

function readCounts(database: StoreDatabase): { counts: SpoolCounts; lastSavedNo: number } {
  const row = database.prepare(READ).get() ?? {};
  const counted = (column: string): number => Number(row[column]);
  const lastSavedNo = counted('last_message_no');
  const after = database.prepare(COUNT_AFTER).get(lastSavedNo) ?? {};
  const chunks = Number(after['chunks']);
  const bytes = Number(after['bytes']);
  const counts = {
    lastMessageNo: Number(after['last_no'] ?? lastSavedNo),
    firstChunkNo: counted('first_chunk_no'),
    pendingMessages: counted('pending_messages') + chunks,
    pendingChunks: counted('pending_chunks') + chunks,
    pendingFinals: counted('pending_finals'),
    chunkBytes: counted('chunk_bytes') + bytes,
    finalBytes: counted('final_bytes'),
    openTasks: counted('open_tasks'),
    reservedBytes: Number(database.prepare(SUM_RESERVES).get()?.['bytes']),
    rotatedChunks: counted('rotated_chunks'),
    rotatedBytes: counted('rotated_bytes'),
  };
  return { counts, lastSavedNo };
}
