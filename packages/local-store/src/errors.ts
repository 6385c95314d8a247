import type { TaskStatus } from './records.js';

/** Every error of this package has one of these codes; they never change. */
export type LocalStoreErrorCode =
  | 'INVALID_ARGUMENT'
  | 'INVALID_SETTING'
  | 'SQLITE_MISSING'
  | 'STORE_LOCKED'
  | 'STORE_UNAVAILABLE'
  | 'STORE_CORRUPT'
  | 'STORE_NEWER'
  | 'STORE_FOREIGN'
  | 'STORE_DISK_FULL'
  | 'STORE_CLOSED'
  | 'TASK_UNKNOWN'
  | 'TASK_STATE_CONFLICT'
  | 'TERMINAL_RESERVE_UNAVAILABLE'
  | 'SEQUENCE_CONFLICT'
  | 'CHUNK_TOO_LARGE'
  | 'FINAL_CONFLICT';

/** The base of every error that this package throws. Nothing was written when one is thrown. */
export abstract class LocalStoreError extends Error {
  abstract readonly code: LocalStoreErrorCode;

  override get name(): string {
    return this.constructor.name;
  }
}

/** An argument that no store could take: a mistake in the calling program. */
export class InvalidArgumentError extends LocalStoreError {
  readonly code = 'INVALID_ARGUMENT';
}

/** A setting, from an option or the environment, that cannot be used. The message names it. */
export class InvalidSettingError extends LocalStoreError {
  readonly code = 'INVALID_SETTING';
}

/** This Node has no SQLite of its own, and the optional dependency `libsql` is not installed. */
export class SqliteMissingError extends LocalStoreError {
  readonly code = 'SQLITE_MISSING';

  constructor() {
    super('No SQLite: use Node 22.13 or later, or install the optional dependency "libsql"');
  }
}

/** Another process, or another store in this one, has the file open. Worth another try once that one has ended. */
export class StoreLockedError extends LocalStoreError {
  readonly code = 'STORE_LOCKED';

  constructor(
    readonly path: string,
    cause: unknown,
  ) {
    super(`The local task store ${path} is open elsewhere; one process at a time may use it`, { cause });
  }
}

/** The folder or file cannot be created, read or written. */
export class StoreUnavailableError extends LocalStoreError {
  readonly code = 'STORE_UNAVAILABLE';

  constructor(
    readonly path: string,
    cause: unknown,
  ) {
    super(`The local task store ${path} cannot be used: ${(cause as Error).message}`, { cause });
  }
}

/**
 * The file is damaged or cut off. It is left where it is, and every later open fails alike, until the store is opened
 * with `onCorrupt: 'set-aside'`.
 */
export class StoreCorruptError extends LocalStoreError {
  readonly code = 'STORE_CORRUPT';

  constructor(
    readonly path: string,
    reason: string,
    cause?: unknown,
  ) {
    super(`The local task store ${path} is damaged (${reason}); keep the file and open with onCorrupt: 'set-aside'`, {
      cause,
    });
  }
}

/** A newer version of this package wrote the file. It is not touched. */
export class StoreNewerError extends LocalStoreError {
  readonly code = 'STORE_NEWER';

  constructor(
    readonly path: string,
    readonly fileVersion: number,
    readonly supportedVersion: number,
  ) {
    super(
      `The local task store ${path} has version ${fileVersion}; this package knows ${supportedVersion}: upgrade it, ` +
        'or give it another path',
    );
  }
}

/** The file is a SQLite database of something else. It is not touched. */
export class StoreForeignError extends LocalStoreError {
  readonly code = 'STORE_FOREIGN';

  constructor(readonly path: string) {
    super(`${path} is a SQLite database, but not a local task store: give the store another path`);
  }
}

/** The disk, or the file's own limit, is full. The store stays usable, and works again once there is room. */
export class StoreDiskFullError extends LocalStoreError {
  readonly code = 'STORE_DISK_FULL';

  constructor(
    readonly path: string,
    cause: unknown,
  ) {
    super(`There is no room on the disk for the local task store ${path}`, { cause });
  }
}

/** The store was closed. */
export class StoreClosedError extends LocalStoreError {
  readonly code = 'STORE_CLOSED';

  constructor(path: string) {
    super(`The local task store ${path} is closed`);
  }
}

/** No receipt is stored for the task and attempt: it was never received, was discarded, or was forgotten after its end. */
export class UnknownTaskError extends LocalStoreError {
  readonly code = 'TASK_UNKNOWN';

  constructor(taskId: string, executionAttemptId: string) {
    super(`Task ${taskId}, attempt ${executionAttemptId}, is not in the local store`);
  }
}

/** The task is past, or not yet in, the state that the call needs. States only move forward. */
export class TaskStateConflictError extends LocalStoreError {
  readonly code = 'TASK_STATE_CONFLICT';

  constructor(
    taskId: string,
    executionAttemptId: string,
    readonly status: TaskStatus,
    needed: string,
  ) {
    super(`Task ${taskId}, attempt ${executionAttemptId}, is ${status}; it must be ${needed}`);
  }
}

/** One more task's final result could not be stored for certain: refuse the task until finals are acknowledged. */
export class TerminalReserveUnavailableError extends LocalStoreError {
  readonly code = 'TERMINAL_RESERVE_UNAVAILABLE';
}

/** The chunk's sequence number leaves a hole in its stream, or was used before for other bytes. */
export class SequenceConflictError extends LocalStoreError {
  readonly code = 'SEQUENCE_CONFLICT';

  constructor(
    readonly sequence: number,
    readonly expectedSequence: number,
    message: string,
  ) {
    super(message);
  }
}

/** The chunk is larger than the whole spool: split the output. */
export class ChunkTooLargeError extends LocalStoreError {
  readonly code = 'CHUNK_TOO_LARGE';
}

/** The task has another final result already. The first one counts. */
export class FinalConflictError extends LocalStoreError {
  readonly code = 'FINAL_CONFLICT';

  constructor(taskId: string, executionAttemptId: string) {
    super(`Task ${taskId}, attempt ${executionAttemptId}, has another final result; the first one counts`);
  }
}
