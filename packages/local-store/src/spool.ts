import { TerminalReserveUnavailableError } from './errors.js';
import type { OutboxMessages, StoredMessage } from './outbox-messages.js';
import type { SpoolStatus, TaskState } from './records.js';
import { finalsRoomBytes, type StoreSettings } from './settings.js';
import type { StoreDatabase } from './store-database.js';
import type { StoredExecution, TaskExecutions } from './task-executions.js';
import type { RotatedChunks } from './telemetry.js';

const READ = 'select * from local_task_spool';
const OVER_CAP = 'select 1 as over from local_task_spool where chunk_bytes + final_bytes > ? or pending_chunks > ?';
const ROTATED = `
update local_task_spool
set rotated_chunks = rotated_chunks + 1, rotated_bytes = rotated_bytes + ?, first_chunk_no = ?`;

/** Keeps the cap: what may be taken in, and which chunks have to go. Its numbers are one row of the file. */
export class Spool {
  private readonly statements;

  constructor(
    database: StoreDatabase,
    private readonly executions: TaskExecutions,
    private readonly messages: OutboxMessages,
    private readonly settings: StoreSettings,
  ) {
    this.statements = {
      read: database.prepare(READ),
      overCap: database.prepare(OVER_CAP),
      rotated: database.prepare(ROTATED),
    };
  }

  status(): SpoolStatus {
    const row = this.statements.read.get() ?? {};
    const chunkBytes = Number(row['chunk_bytes']);
    const finalBytes = Number(row['final_bytes']);
    return {
      capBytes: this.settings.spoolCapBytes,
      terminalReserveBytes: this.settings.terminalReserveBytes,
      usedBytes: chunkBytes + finalBytes,
      chunkBytes,
      finalBytes,
      openTasks: Number(row['open_tasks']),
      pendingMessages: Number(row['pending_messages']),
      pendingChunks: Number(row['pending_chunks']),
      pendingFinals: Number(row['pending_finals']),
      rotatedChunks: Number(row['rotated_chunks']),
      rotatedBytes: Number(row['rotated_bytes']),
    };
  }

  /** Chunks give way to finals, so only finals and the reserves of open tasks count. */
  requireReserveForOneMore(): void {
    const { terminalReserveBytes, finalBytes, openTasks } = this.status();
    const roomBytes = finalsRoomBytes(this.settings);
    if (finalBytes + (openTasks + 1) * terminalReserveBytes <= roomBytes) return;
    throw new TerminalReserveUnavailableError(
      `The spool of ${roomBytes} bytes holds ${finalBytes} bytes of finals and the reserves of ${openTasks} open tasks; ` +
        `one more reserve of ${terminalReserveBytes} bytes does not fit`,
    );
  }

  /** Rotates the oldest chunks out until everything is within the cap. Finals stay, whatever they take. */
  rotateToCap(): RotatedChunks[] {
    const { spoolCapBytes, maxPendingChunks } = this.settings;
    return this.rotateWhile(() => this.statements.overCap.get(spoolCapBytes, maxPendingChunks) !== undefined);
  }

  /** Rotates the oldest chunks out until this many bytes are freed, or none is left. */
  rotateBytes(bytes: number): RotatedChunks[] {
    const { chunkBytes: before } = this.status();
    return this.rotateWhile(() => before - this.status().chunkBytes < bytes);
  }

  private rotateWhile(isOver: () => boolean): RotatedChunks[] {
    const rotated: RotatedChunks[] = [];
    while (isOver()) {
      const chunk = this.messages.oldestChunk();
      if (chunk === undefined) break;
      note(rotated, this.rotate(chunk));
    }
    return rotated;
  }

  private rotate(chunk: StoredMessage): RotatedChunks {
    const { taskId, executionAttemptId, outputTruncated } = this.removeChunk(chunk);
    this.messages.storeDropped(chunk);
    if (!outputTruncated) this.executions.markOutputTruncated(chunk.executionId);
    this.statements.rotated.run(chunk.byteCount, chunk.messageNo);
    return { taskId, executionAttemptId, stream: chunk.stream, chunks: 1, bytes: chunk.byteCount };
  }

  /** Removes a chunk, and keeps its number where no higher one of its stream is known: numbers are never used again. */
  removeChunk({ messageNo, executionId, stream, sequence }: StoredMessage): TaskState {
    const execution = this.executions.get(executionId);
    this.messages.remove(messageNo);
    if (this.lastSequence(execution, stream) < sequence) this.executions.markStream(execution, stream, sequence);
    return execution.state;
  }

  /** The highest number that the stream has had; 0 for a new stream. */
  lastSequence({ id, streamMarks }: StoredExecution, stream: string): number {
    return Math.max(this.messages.lastSequence(id, stream), streamMarks.get(stream) ?? 0);
  }
}

function note(rotated: RotatedChunks[], one: RotatedChunks): void {
  const same = rotated.find(
    ({ taskId, executionAttemptId, stream }) =>
      taskId === one.taskId && executionAttemptId === one.executionAttemptId && stream === one.stream,
  );
  if (same === undefined) {
    rotated.push(one);
    return;
  }
  same.chunks += 1;
  same.bytes += one.bytes;
}
