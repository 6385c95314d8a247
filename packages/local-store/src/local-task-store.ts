import { createHash } from 'node:crypto';
import {
  checkAttempt,
  checkExitCode,
  checkFlag,
  checkMessageId,
  checkName,
  checkSequence,
  cutBytes,
  payloadBytes,
} from './arguments.js';
import { DiskRoom } from './disk-room.js';
import { ChunkTooLargeError, FinalConflictError, SequenceConflictError, StoreDiskFullError } from './errors.js';
import { FileRoom } from './file-room.js';
import type { ReceiptStore, RecoveryStore, ResultOutbox } from './interfaces.js';
import { messageId, parseMessageId, type MessagePlace } from './message-id.js';
import { OutboxMessages } from './outbox-messages.js';
import { OutputStreams, type OutputStream } from './output-streams.js';
import type {
  AppendedChunk,
  FinalResult,
  OutboxMessage,
  OutputChunk,
  ReceivedTask,
  RecordedFinal,
  SpoolStatus,
  StoreSnapshot,
  TaskAttempt,
  TaskState,
} from './records.js';
import type { StoreSettings } from './settings.js';
import { Spool } from './spool.js';
import { SpoolCounters } from './spool-counters.js';
import type { Durability, StoreDatabase } from './store-database.js';
import { TaskExecutions, type ExecutionEnd, type StoredExecution } from './task-executions.js';
import { TelemetryHooks, type LocalStoreTelemetry, type RotatedChunks } from './telemetry.js';

/** Rotated out at least, when a full disk leaves a final no room: SQLite frees whole pages. */
const MIN_FREED_BYTES = 64 * 1024;

/** In the log, for each task that is interrupted. */
const INTERRUPTED_BYTES = 512;

/** So many chunks are counted at most at an opening: then an append writes the counters. */
const MAX_UNSAVED_CHUNKS = 1000;

/** Room that a receipt needs on the disk: more than a small chunk. */
const RECEIPT_BYTES = 64 * 1024;

/** The store of one file, made by `openLocalTaskStore`. One process at a time has it open. */
export class LocalTaskStore implements ReceiptStore, ResultOutbox, RecoveryStore {
  private readonly counters: SpoolCounters;
  private readonly executions: TaskExecutions;
  private readonly messages: OutboxMessages;
  private readonly streams: OutputStreams;
  private readonly spool: Spool;
  private readonly room: DiskRoom;
  private readonly fileRoom: FileRoom;
  private readonly largestFinalBytes: number;
  private readonly telemetry: TelemetryHooks;

  constructor(
    private readonly database: StoreDatabase,
    private readonly settings: StoreSettings,
    telemetry: LocalStoreTelemetry,
    /** Where the opening moved a damaged file to; null when the file was sound. */
    readonly setAsidePath: string | null,
  ) {
    this.counters = new SpoolCounters(database);
    this.executions = new TaskExecutions(database, this.counters);
    this.messages = new OutboxMessages(database, this.counters);
    this.streams = new OutputStreams(database, this.executions, this.messages);
    this.spool = new Spool(this.counters, this.executions, this.messages, this.streams, settings);
    this.largestFinalBytes = Math.max(settings.terminalReserveBytes, this.executions.largestReserveBytes());
    this.room = new DiskRoom(database, settings, this.counters, this.largestFinalBytes);
    this.fileRoom = new FileRoom(database, settings, this.counters, this.executions, this.spool);
    this.telemetry = new TelemetryHooks(telemetry, () => this.spool.status());
    // The cap may have been lowered since the last run.
    this.change('process-crash', (rotated) => rotated.push(...this.spool.rotateToCap()));
  }

  recordReceived(task: TaskAttempt): ReceivedTask {
    checkAttempt('task', task);
    const { taskId, executionAttemptId } = task;
    const { maxFileBytes, terminalReserveBytes } = this.settings;
    return this.change(
      'power-loss',
      (rotated) => {
        const known = this.executions.find(taskId, executionAttemptId);
        if (known !== undefined) return { ...known.state, duplicate: true };
        this.room.require(RECEIPT_BYTES, terminalReserveBytes);
        this.spool.requireReserveForOneMore();
        this.executions.forgetSettledBefore(Date.now() - this.settings.finishedTaskRetentionMs);
        if (maxFileBytes !== null) rotated.push(...this.fileRoom.makeForOneMore(maxFileBytes));
        this.executions.receive(task, terminalReserveBytes, Date.now());
        return { ...this.executions.require(task, 'received').state, duplicate: false };
      },
      RECEIPT_BYTES,
      terminalReserveBytes,
    );
  }

  recordStarted(taskId: string, executionAttemptId: string): TaskState {
    const task = { taskId, executionAttemptId };
    checkAttempt('task', task);
    return this.makingRoom(0, () =>
      this.change('power-loss', () => {
        this.executions.start(this.executions.require(task, 'received').id, Date.now());
        return this.executions.require(task, 'running').state;
      }),
    );
  }

  discardReceived(taskId: string, executionAttemptId: string): boolean {
    const task = { taskId, executionAttemptId };
    checkAttempt('task', task);
    return this.change('power-loss', () => {
      if (this.executions.find(taskId, executionAttemptId) === undefined) return false;
      this.executions.discard(this.executions.require(task, 'received'));
      return true;
    });
  }

  taskState(taskId: string, executionAttemptId: string): TaskState | undefined {
    checkAttempt('task', { taskId, executionAttemptId });
    return this.database.read(() => this.executions.find(taskId, executionAttemptId)?.state);
  }

  appendOutputChunk(chunk: OutputChunk): AppendedChunk {
    checkAttempt('chunk', chunk);
    checkName('stream', chunk.stream);
    if (chunk.sequence !== undefined) checkSequence(chunk.sequence);
    const payload = this.chunkPayload(chunk);
    return this.database.read(() => {
      const stream = this.streams.require(chunk);
      const expected = stream.lastSequence + 1;
      const sequence = chunk.sequence ?? expected;
      const result = { messageId: `${stream.idPrefix}${sequence}`, sequence, duplicate: sequence < expected };
      if (result.duplicate) this.refuseOtherBytes(stream, sequence, payload);
      else if (sequence > expected) throw sequenceGap(chunk.stream, sequence, expected);
      else this.storeChunk(stream, payload);
      return result;
    });
  }

  recordFinal(result: FinalResult): RecordedFinal {
    checkAttempt('result', result);
    checkName('status', result.status);
    checkExitCode(result.exitCode ?? null);
    checkFlag('outputTruncated', result.outputTruncated);
    checkFlag('errorTruncated', result.errorTruncated);
    const payload = payloadBytes(result.payload === undefined ? '' : result.payload);
    const digest = finalDigest(result, payload);
    const bytes = Math.min(payload.byteLength, this.largestFinalBytes);
    if (this.taskState(result.taskId, result.executionAttemptId)?.endedAtMs === null) this.makeRoomForFinals(bytes);
    return this.makingRoom(bytes, () =>
      this.change('power-loss', (rotated) => {
        const ended = this.executions.find(result.taskId, result.executionAttemptId);
        if (ended?.state.status === 'final') return sameFinal(ended, digest);
        const execution = this.executions.require(result, 'received', 'running');
        const stored = cutBytes(payload, execution.reserveBytes);
        const payloadTruncated = stored.byteLength < payload.byteLength;
        const end = {
          status: 'final' as const,
          finalStatus: result.status,
          exitCode: result.exitCode ?? null,
          outputTruncated: result.outputTruncated === true || payloadTruncated,
          errorTruncated: result.errorTruncated === true,
          payloadTruncated,
          digest,
        };
        this.end(execution, end, stored);
        rotated.push(...this.spool.rotateToCap());
        return { messageId: finalId(result), duplicate: false, payloadTruncated };
      }),
    );
  }

  unackedMessages(): Iterable<OutboxMessage> {
    return { [Symbol.iterator]: () => this.allMessages() };
  }

  unackedMessagesFrom(
    taskId: string,
    executionAttemptId: string,
    stream: string,
    sequence: number,
  ): Iterable<OutboxMessage> {
    checkAttempt('task', { taskId, executionAttemptId });
    checkName('stream', stream);
    checkSequence(sequence);
    return { [Symbol.iterator]: () => this.streamMessages({ taskId, executionAttemptId }, stream, sequence) };
  }

  ackMessage(id: string): boolean {
    checkMessageId(id);
    const place = parseMessageId(id);
    if (place === undefined) return this.database.read(() => false);
    return this.makingRoom(0, () => this.change('process-crash', () => this.removeDelivered(place)));
  }

  spoolStatus(): SpoolStatus {
    return this.database.read(() => this.spool.status());
  }

  snapshot(): StoreSnapshot {
    return this.database.read(() => ({
      running: this.executions.inStatus('running').map(({ state }) => state),
      received: this.executions.inStatus('received').map(({ state }) => state),
      unackedFinals: this.messages.finals(),
      outputRanges: this.messages.ranges(),
      truncations: this.messages.truncations(),
      spool: this.spool.status(),
    }));
  }

  markInterruptedRunningTasks(): TaskState[] {
    const { openTasks } = this.counters.current;
    if (openTasks > 0) this.makeRoomForFinals(openTasks * INTERRUPTED_BYTES);
    return this.makingRoom(0, () =>
      this.change('power-loss', () => {
        const running = this.executions.inStatus('running');
        for (const execution of running) this.interrupt(execution);
        return running.map(({ id }) => this.executions.get(id).state);
      }),
    );
  }

  close(): void {
    this.database.close();
  }

  private removeDelivered(place: MessagePlace): boolean {
    const execution = this.executions.find(place.taskId, place.executionAttemptId);
    const message = execution && this.messages.find(execution.id, place);
    if (message === undefined || message.lastSequence !== place.lastSequence) return false;
    if (place.kind === 'output') this.spool.removeChunk(message, execution?.state.status === 'running');
    else this.messages.remove(message);
    this.executions.settle(message.executionId, Date.now());
    return true;
  }

  private interrupt(execution: StoredExecution): void {
    const { errorTruncated, outputTruncated } = execution.state;
    const end = { status: 'interrupted' as const, finalStatus: 'interrupted', exitCode: null, digest: null };
    this.end(execution, { ...end, outputTruncated, errorTruncated, payloadTruncated: false }, new Uint8Array());
  }

  private end(execution: StoredExecution, end: ExecutionEnd, payload: Uint8Array): void {
    this.executions.end(execution, end, Date.now());
    this.streams.ended(execution.id);
    this.messages.storeFinal(execution.id, payload);
  }

  private *allMessages(): Iterator<OutboxMessage> {
    /** Markers of executions whose final is still to come. */
    const told = new Map<number, Set<string>>();
    for (let place = 0; ;) {
      const from = place;
      const next = this.database.read(() => this.nextMessage(from, told));
      if (next === undefined) return;
      const { executionId, message } = next;
      if (message.type === 'final') told.delete(executionId);
      else if (message.type === 'truncation') {
        told.set(executionId, (told.get(executionId) ?? new Set()).add(message.messageId));
      }
      yield message;
      place = next.messageNo;
    }
  }

  /** The next one; before a final, a marker whose place was passed before it was stored or grew. */
  private nextMessage(
    from: number,
    told: ReadonlyMap<number, ReadonlySet<string>>,
  ): ReturnType<OutboxMessages['next']> {
    const next = this.messages.next(from);
    if (next?.message.type !== 'final') return next;
    const { executionId } = next;
    const known = told.get(executionId);
    const passed = this.messages.markersUpTo(executionId, from).find(({ messageId: id }) => known?.has(id) !== true);
    return passed === undefined ? next : { messageNo: from, executionId, message: passed };
  }

  private *streamMessages(task: TaskAttempt, stream: string, sequence: number): Iterator<OutboxMessage> {
    for (let from = sequence, told = ''; ;) {
      const [wanted, last] = [from, told];
      const message = this.database.read(() => {
        const execution = this.executions.find(task.taskId, task.executionAttemptId);
        return execution && this.nextOfStream(execution.id, stream, wanted, last);
      });
      if (message === undefined) return;
      if (message.type === 'output') from = message.sequence + 1;
      else told = message.messageId;
      yield message;
    }
  }

  /** What comes after a hole was rotated out when the marker reaches that far: then the marker comes first. */
  private nextOfStream(executionId: number, stream: string, from: number, told: string): OutboxMessage | undefined {
    const chunk = this.messages.nextChunk(executionId, stream, from);
    if (chunk?.type === 'output' && chunk.sequence === from) return chunk;
    const marker = this.messages.markerReaching(executionId, stream, from);
    return marker === undefined || marker.messageId === told ? chunk : marker;
  }

  private chunkPayload(chunk: OutputChunk): Uint8Array {
    const payload = payloadBytes(chunk.payload);
    const { spoolCapBytes } = this.settings;
    if (payload.byteLength <= spoolCapBytes) return payload;
    throw new ChunkTooLargeError(
      `A chunk of ${payload.byteLength} bytes is larger than the spool of ${spoolCapBytes} bytes; split the output`,
    );
  }

  private refuseOtherBytes(stream: OutputStream, sequence: number, payload: Uint8Array): void {
    const place = { kind: 'output' as const, stream: stream.name, sequence, lastSequence: sequence };
    const pending = this.messages.find(stream.executionId, place);
    if (pending === undefined) return; // Delivered or dropped: there is nothing left to compare with.
    if (Buffer.compare(this.messages.payload(pending.messageNo), payload) === 0) return;
    const message = `Chunk ${sequence} of ${stream.name} is stored with other bytes`;
    throw new SequenceConflictError(sequence, stream.lastSequence + 1, message);
  }

  /** By one statement where nothing has to be rotated out for it. */
  private storeChunk(stream: OutputStream, payload: Uint8Array): void {
    const { executionId, name, lastSequence } = stream;
    const bytes = payload.byteLength;
    const store = (): void => {
      this.room.require(bytes);
      this.messages.storeChunk(executionId, name, lastSequence + 1, payload);
      // Before telemetry, which may append; a transaction that fails forgets the stream.
      stream.lastSequence = lastSequence + 1;
    };
    const isAlone = this.spool.hasRoomFor(bytes) && this.counters.unsavedChunks < MAX_UNSAVED_CHUNKS;
    if (isAlone) this.attempt(bytes, () => this.storeAlone(store));
    else this.attempt(bytes, () => this.storeRotating(store));
  }

  private storeAlone(store: () => void): void {
    this.database.writeOne(this.settings.chunkDurability, store);
    this.telemetry.tell([]);
  }

  private storeRotating(store: () => void): void {
    this.changeOnce(this.settings.chunkDurability, (rotated) => {
      store();
      rotated.push(...this.spool.rotateToCap());
    });
  }

  private change<T>(durability: Durability, change: (rotated: RotatedChunks[]) => T, bytes = 0, reserve = 0): T {
    return this.attempt(bytes, () => this.changeOnce(durability, change), reserve);
  }

  private attempt<T>(bytes: number, change: () => T, reserveBytes = 0): T {
    if (this.database.read(() => this.room.isShort(bytes, reserveBytes))) this.database.emptyLog();
    try {
      return change();
    } catch (error) {
      // A log that cannot grow any more may still be emptied.
      if (!(error instanceof StoreDiskFullError) || !this.database.emptyLog()) throw error;
      return change();
    }
  }

  private changeOnce<T>(durability: Durability, change: (rotated: RotatedChunks[]) => T): T {
    const rotated: RotatedChunks[] = [];
    const result = this.counters.following(() => this.write(durability, () => change(rotated)));
    this.telemetry.tell(rotated);
    return result;
  }

  private write<T>(durability: Durability, change: () => T): T {
    try {
      return this.database.write(durability, () => {
        const result = change();
        this.counters.save();
        return result;
      });
    } catch (error) {
      this.streams.forgetRemembered();
      throw error;
    }
  }

  /** Room in the file that output takes is given to finals; a full file system may still have none for the change. */
  private makingRoom<T>(bytes: number, attempt: () => T): T {
    for (;;) {
      try {
        return attempt();
      } catch (error) {
        if (!(error instanceof StoreDiskFullError) || !this.freed(Math.max(bytes, MIN_FREED_BYTES))) throw error;
      }
    }
  }

  /** Before they are stored: what cannot be written any more cannot be rotated out any more either. */
  private makeRoomForFinals(bytes: number): void {
    for (;;) {
      if (this.database.read(() => this.room.forFinals(bytes)) === 'enough') return;
      this.database.emptyLog();
      const room = this.database.read(() => this.room.forFinals(bytes));
      if (room === 'enough') return;
      if (room === 'file-is-short' && this.freed(Math.max(bytes, MIN_FREED_BYTES))) continue;
      throw new StoreDiskFullError(this.settings.path, new Error('Acknowledgements need the room that is left'));
    }
  }

  private freed(bytes: number): boolean {
    return this.change('process-crash', (rotated) => {
      if (rotated.push(...this.spool.rotateBytes(bytes)) > 0) return true;
      return this.executions.forgetSettledBefore(Number.MAX_SAFE_INTEGER) > 0;
    });
  }
}

function finalId({ taskId, executionAttemptId }: TaskAttempt): string {
  return messageId({ taskId, executionAttemptId, kind: 'final', stream: '', sequence: 0, lastSequence: 0 });
}

function sequenceGap(stream: string, sequence: number, expected: number): SequenceConflictError {
  const message = `Chunk ${sequence} of ${stream} leaves a hole; its next chunk is ${expected}`;
  return new SequenceConflictError(sequence, expected, message);
}

function finalDigest(result: FinalResult, payload: Uint8Array): Uint8Array {
  const { status, exitCode = null, outputTruncated = false, errorTruncated = false } = result;
  const head = JSON.stringify([status, exitCode, outputTruncated, errorTruncated]);
  return createHash('sha256').update(head).update(payload).digest();
}

function sameFinal(
  { state, finalDigest: first, payloadTruncated }: StoredExecution,
  digest: Uint8Array,
): RecordedFinal {
  if (first === null || Buffer.compare(first, digest) !== 0) {
    throw new FinalConflictError(state.taskId, state.executionAttemptId);
  }
  return { messageId: finalId(state), duplicate: true, payloadTruncated };
}
