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

// Every call is synchronous: when it returns, its effect is in the file; when it throws, nothing has changed. All may
// throw StoreDiskFullError, StoreUnavailableError, StoreCorruptError and StoreClosedError besides the errors they name.

/** What the part of a worker that accepts and starts tasks needs. */
export interface ReceiptStore {
  /**
   * Takes a task in, before it is confirmed to the sender. Idempotent: a duplicate changes nothing and returns what has
   * become of the first. On disk (fsync) when it returns.
   *
   * @throws TerminalReserveUnavailableError when the final of one more open task might not fit: refuse the task.
   */
  recordReceived(task: TaskAttempt): ReceivedTask;

  /**
   * Claims a received task for execution: of two calls the second fails, so that nothing is executed twice. On disk when
   * it returns; start the execution afterwards.
   *
   * @throws UnknownTaskError, TaskStateConflictError unless it is `received`.
   */
  recordStarted(taskId: string, executionAttemptId: string): TaskState;

  /**
   * Forgets a task that was received and will not be executed here, and frees its reserve. A later receipt of the same
   * attempt is new. False when nothing was stored.
   *
   * @throws TaskStateConflictError once it has started.
   */
  discardReceived(taskId: string, executionAttemptId: string): boolean;

  /** Undefined for a task that is not stored. Ended tasks are kept for `finishedTaskRetentionMs` after the last ack. */
  taskState(taskId: string, executionAttemptId: string): TaskState | undefined;
}

/** What the parts of a worker that produce and deliver results need. */
export interface ResultOutbox {
  /**
   * Stores the next piece of a stream of a running task. Over the cap, the oldest chunks of the whole store are rotated
   * out; this one too, where finals leave it no room. Idempotent by sequence number. Survives the end of this process at
   * once; with the default `chunkDurability`, loss of power only after the next receipt, start or final.
   *
   * @throws UnknownTaskError, TaskStateConflictError unless the task is `running`, SequenceConflictError for a hole or
   * for other bytes under a stored number, ChunkTooLargeError for one larger than the cap.
   */
  appendOutputChunk(chunk: OutputChunk): AppendedChunk;

  /**
   * Ends a task that was received or runs. Always fits: chunks are rotated out for it, and a payload larger than the
   * terminal reserve is cut. Idempotent for the same result. On disk (fsync) when it returns.
   *
   * @throws UnknownTaskError, FinalConflictError for another result, TaskStateConflictError for an interrupted task,
   * StoreDiskFullError when the disk has no room even for rotating chunks out: the task still runs, try again later.
   */
  recordFinal(result: FinalResult): RecordedFinal;

  /**
   * Everything to deliver, oldest first; a task's final comes after its output. Read lazily, one payload at a time: each
   * iteration starts at the oldest message, may be held over `await`, and meets what is stored or acknowledged
   * meanwhile.
   */
  unackedMessages(): Iterable<OutboxMessage>;

  /**
   * The messages of one stream from a sequence number on, that one included, in sequence: what a receiver asks for that
   * has everything before it. A truncation marker that reaches to that number or beyond comes first.
   */
  unackedMessagesFrom(
    taskId: string,
    executionAttemptId: string,
    stream: string,
    sequence: number,
  ): Iterable<OutboxMessage>;

  /**
   * Deletes a message that the receiver has. False when it is not pending: acknowledged before, rotated out, or never
   * stored. Survives the end of this process at once; after a loss of power the message may be delivered once more.
   */
  ackMessage(messageId: string): boolean;

  /**
   * The spool in numbers, for a health endpoint or a loop that waits: counters in memory, nothing is read. About a
   * microsecond, with no message pending and with 100,000.
   */
  spoolStatus(): SpoolStatus;
}

/** What a worker needs at its start. */
export interface RecoveryStore {
  /** Everything unfinished. Reads each row and no payload: 0.1 to 0.2 seconds with 100,000 messages pending. */
  snapshot(): StoreSnapshot;

  /**
   * Ends every running task as `interrupted`, each with one final message (`status: 'interrupted'`, no exit code, no
   * payload), and returns them. Only for the start, before anything is started: it cannot tell a task whose process
   * died from one that runs in this process. Idempotent. On disk (fsync) when it returns.
   */
  markInterruptedRunningTasks(): TaskState[];

  /** Writes back and lets go of the file. A store that is not closed, but killed, loses nothing. Idempotent. */
  close(): void;
}
