/** Forward only: `received` → `running` → `final` or `interrupted`; a task may also end without having started. */
export type TaskStatus = 'received' | 'running' | 'final' | 'interrupted';

/** One execution of a task. The pair is the key: another attempt at the same task is another execution. */
export interface TaskAttempt {
  taskId: string;
  executionAttemptId: string;
}

/** What is known of one execution. Times are epoch milliseconds on this host's clock. */
export interface TaskState extends TaskAttempt {
  status: TaskStatus;
  /** `status` of its final result, or `interrupted`; null until it ends. */
  finalStatus: string | null;
  /** Null until it ends, and where its end has none. */
  exitCode: number | null;
  /** Output is missing: its executor said so, chunks were rotated out, or the final's payload was cut. */
  outputTruncated: boolean;
  /** The executor said that the error text is incomplete. */
  errorTruncated: boolean;
  receivedAtMs: number;
  startedAtMs: number | null;
  endedAtMs: number | null;
}

/** A receipt's answer. */
export interface ReceivedTask extends TaskState {
  /** It was received before; the state is what has become of it since. Do not execute it a second time. */
  duplicate: boolean;
}

/** A piece of a stream of a running task. Text is stored as UTF-8; bytes as they are, also half a character. */
export interface OutputChunk extends TaskAttempt {
  /** Such as `stdout`: 1 to 255 characters. */
  stream: string;
  /** 1, 2, 3 … in each stream, without holes. @default the stream's next one */
  sequence?: number;
  payload: string | Uint8Array;
}

export interface AppendedChunk {
  messageId: string;
  sequence: number;
  /** This sequence number was stored before, and nothing was written. */
  duplicate: boolean;
}

/** How a task ended. */
export interface FinalResult extends TaskAttempt {
  /** The receiver's word for the end, such as `completed` or `failed`: 1 to 255 characters. */
  status: string;
  /** @default null */
  exitCode?: number | null;
  /** The result itself. Cut to the terminal reserve, at a character's edge. @default empty */
  payload?: string | Uint8Array;
  /** The executor left output out. @default false */
  outputTruncated?: boolean;
  /** The executor left error text out. @default false */
  errorTruncated?: boolean;
}

export interface RecordedFinal {
  messageId: string;
  /** The same final was recorded before, and nothing was written. */
  duplicate: boolean;
  /** The payload was larger than the terminal reserve and was cut to it. */
  payloadTruncated: boolean;
}

interface MessageFields extends TaskAttempt {
  /** The same in every resend: what the receiver tells duplicates by, and what is acknowledged. */
  messageId: string;
  /** Stored bytes of the payload; never characters. */
  byteCount: number;
  payload: Uint8Array;
}

/** A piece of output that the receiver has not acknowledged. */
export interface OutputMessage extends MessageFields {
  type: 'output';
  stream: string;
  sequence: number;
}

/**
 * The truncation marker of one stream: `droppedChunks` chunks from `sequence` to `lastSequence` were rotated out and
 * will not come; any of these numbers that the receiver has were delivered in time. One that grows gets a new id, so an
 * acknowledgement of the shorter one does not end it.
 */
export interface TruncationMessage extends MessageFields {
  type: 'truncation';
  stream: string;
  sequence: number;
  lastSequence: number;
  droppedChunks: number;
  droppedBytes: number;
}

/** How a task ended; one for each task that did. */
export interface FinalMessage extends MessageFields {
  type: 'final';
  status: string;
  exitCode: number | null;
  outputTruncated: boolean;
  errorTruncated: boolean;
  /** The payload is only the beginning of what was recorded. */
  payloadTruncated: boolean;
}

export type OutboxMessage = OutputMessage | TruncationMessage | FinalMessage;

/** Unacknowledged output of one stream. */
export interface OutputRange extends TaskAttempt {
  stream: string;
  firstSequence: number;
  lastSequence: number;
  /** Fewer than the range is long when chunks in its middle were acknowledged before those around them. */
  chunks: number;
}

/** The spool in numbers, all kept up to date in the file. Bytes are payload bytes. */
export interface SpoolStatus {
  /**
   * The cap in force: the setting; or what stored finals and the reserves of open tasks take, where the setting was
   * lowered below that.
   */
  capBytes: number;
  /** Set aside for each task that is received from now on. */
  terminalReserveBytes: number;
  /** `chunkBytes` and `finalBytes` together; at most `capBytes`. */
  usedBytes: number;
  chunkBytes: number;
  finalBytes: number;
  /** Tasks that have no final yet; each has the terminal reserve of the time of its receipt set aside. */
  openTasks: number;
  reservedBytes: number;
  /** Unacknowledged: chunks, finals and truncation markers. */
  pendingMessages: number;
  pendingChunks: number;
  pendingFinals: number;
  /** Since the file was created. */
  rotatedChunks: number;
  rotatedBytes: number;
}

/** A look at everything unfinished, without payloads. Lists are in the order in which things were received or stored. */
export interface StoreSnapshot {
  running: TaskState[];
  /** Received, not started. */
  received: TaskState[];
  unackedFinals: Omit<FinalMessage, 'payload'>[];
  outputRanges: OutputRange[];
  truncations: Omit<TruncationMessage, 'payload'>[];
  spool: SpoolStatus;
}
