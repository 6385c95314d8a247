import { TerminalReserveUnavailableError } from './errors.js';
import type { DroppedChunks, OutboxMessages, StoredMessage } from './outbox-messages.js';
import type { OutputStreams } from './output-streams.js';
import type { SpoolStatus } from './records.js';
import { finalsRoomBytes, type StoreSettings } from './settings.js';
import type { SpoolCounters } from './spool-counters.js';
import type { TaskExecutions } from './task-executions.js';
import type { RotatedChunks } from './telemetry.js';

/** What is rotated out at once beyond what has to be, so that a full spool need not rotate at each append. */
const EXTRA_SHARE = 64;
const FIRST_READ = 24;
const MAX_READ = 384;

/** Keeps the cap: what may be taken in, and which chunks have to go. */
export class Spool {
  constructor(
    private readonly counters: SpoolCounters,
    private readonly executions: TaskExecutions,
    private readonly messages: OutboxMessages,
    private readonly streams: OutputStreams,
    private readonly settings: StoreSettings,
  ) {}

  status(): SpoolStatus {
    const { lastMessageNo: _last, firstChunkNo: _first, ...counts } = this.counters.current;
    const { spoolCapBytes, terminalReserveBytes } = this.settings;
    return {
      capBytes: Math.max(spoolCapBytes, counts.finalBytes + counts.reservedBytes),
      terminalReserveBytes,
      usedBytes: counts.chunkBytes + counts.finalBytes,
      ...counts,
    };
  }

  /** Chunks give way to finals, so only finals and the reserves of open tasks count. */
  requireReserveForOneMore(): void {
    const { finalBytes, openTasks, reservedBytes, pendingFinals } = this.counters.current;
    const { terminalReserveBytes, maxPendingTasks } = this.settings;
    const roomBytes = finalsRoomBytes(this.settings);
    if (finalBytes + reservedBytes + terminalReserveBytes > roomBytes) {
      throw new TerminalReserveUnavailableError(
        `The spool of ${roomBytes} bytes holds ${finalBytes} bytes of finals and the reserves of ${openTasks} open tasks; ` +
          `one more reserve of ${terminalReserveBytes} bytes does not fit`,
      );
    }
    if (openTasks + pendingFinals < maxPendingTasks) return;
    throw new TerminalReserveUnavailableError(
      `There are ${openTasks} open tasks and ${pendingFinals} finals to deliver; maxPendingTasks is ${maxPendingTasks}`,
    );
  }

  /** Whether one more chunk of so many bytes leaves everything within the cap. */
  hasRoomFor(bytes: number): boolean {
    return !this.isOver(bytes, 1);
  }

  /** Rotates the oldest chunks out until everything is within the cap, and some more. Finals stay, whatever they take. */
  rotateToCap(): RotatedChunks[] {
    if (!this.isOver(0, 0)) return [];
    const { spoolCapBytes, maxPendingChunks } = this.settings;
    let extraBytes = Math.floor(spoolCapBytes / EXTRA_SHARE);
    let extraChunks = Math.floor(maxPendingChunks / EXTRA_SHARE);
    const newestNo = this.counters.current.lastMessageNo;
    return this.rotateWhile(({ messageNo, byteCount }, chunks, bytes) => {
      if (this.isOver(-bytes, -chunks)) return true;
      if (byteCount > extraBytes || extraBytes === 0 || extraChunks === 0 || messageNo === newestNo) return false;
      extraBytes -= byteCount;
      extraChunks -= 1;
      return true;
    });
  }

  /** Rotates the oldest chunks out until this many bytes are freed, or none is left. */
  rotateBytes(wanted: number): RotatedChunks[] {
    return this.rotateWhile((_chunk, _chunks, bytes) => bytes < wanted);
  }

  /** Removes a chunk that was delivered. */
  removeChunk(chunk: StoredMessage, isRunning: boolean): void {
    this.messages.remove(chunk);
    if (isRunning) this.streams.chunkLeft(chunk.executionId, chunk.stream, chunk.sequence);
  }

  private isOver(moreBytes: number, moreChunks: number): boolean {
    const { chunkBytes, finalBytes, pendingChunks } = this.counters.current;
    const { spoolCapBytes, maxPendingChunks } = this.settings;
    return chunkBytes + finalBytes + moreBytes > spoolCapBytes || pendingChunks + moreChunks > maxPendingChunks;
  }

  /** @param goes whether a chunk goes, after so many others of so many bytes that are not removed yet. */
  private rotateWhile(goes: (chunk: StoredMessage, chunks: number, bytes: number) => boolean): RotatedChunks[] {
    const victims = new Victims();
    for (const chunk of this.oldestFirst()) {
      if (!goes(chunk, victims.chunks, victims.bytes)) break;
      victims.add(chunk);
    }
    return this.drop(victims);
  }

  private *oldestFirst(): Iterable<StoredMessage> {
    let afterNo = this.counters.current.firstChunkNo;
    for (let limit = FIRST_READ; ; limit = Math.min(2 * limit, MAX_READ)) {
      const chunks = this.messages.oldestChunks(afterNo, limit);
      yield* chunks;
      const last = chunks.at(-1);
      if (last === undefined || chunks.length < limit) return;
      afterNo = last.messageNo;
    }
  }

  private drop(victims: Victims): RotatedChunks[] {
    if (victims.firstNo === undefined || victims.lastNo === undefined) return [];
    this.messages.removeChunks(victims.firstNo, victims.lastNo, victims.chunks, victims.bytes);
    this.counters.chunksRotated(victims.chunks, victims.bytes, victims.lastNo);
    return victims.ofEachStream().map((dropped) => this.noteDropped(dropped));
  }

  private noteDropped(dropped: DroppedChunks): RotatedChunks {
    const { executionId, stream, lastSequence, chunks, bytes } = dropped;
    const { taskId, executionAttemptId, status, outputTruncated } = this.executions.get(executionId).state;
    this.messages.storeDropped(dropped);
    if (status === 'running') this.streams.chunkLeft(executionId, stream, lastSequence);
    if (!outputTruncated) this.executions.markOutputTruncated(executionId);
    return { taskId, executionAttemptId, stream, chunks, bytes };
  }
}

/** Chunks that go together, in the order of delivery. */
class Victims {
  firstNo: number | undefined;
  lastNo: number | undefined;
  chunks = 0;
  bytes = 0;
  private readonly streams = new Map<string, DroppedChunks>();

  add({ messageNo, executionId, stream, sequence, byteCount }: StoredMessage): void {
    this.firstNo ??= messageNo;
    this.lastNo = messageNo;
    this.chunks += 1;
    this.bytes += byteCount;
    const key = `${executionId}/${stream}`;
    const known = this.streams.get(key);
    const first = { executionId, stream, firstMessageNo: messageNo, firstSequence: sequence };
    this.streams.set(key, {
      ...(known ?? first),
      lastSequence: sequence,
      chunks: (known?.chunks ?? 0) + 1,
      bytes: (known?.bytes ?? 0) + byteCount,
    });
  }

  ofEachStream(): DroppedChunks[] {
    return [...this.streams.values()];
  }
}
