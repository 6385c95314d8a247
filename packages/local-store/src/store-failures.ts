import { StoreCorruptError, StoreDiskFullError, StoreLockedError, StoreUnavailableError } from './errors.js';
import { fileSizeLimit } from './file-size-limit.js';
import { SQLITE, SqliteFailure } from './sqlite/sqlite-database.js';

/** Runs it; what SQLite refuses is thrown in the store's own words. */
export function tellingFailures<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw storeFailure(path, error);
  }
}

/** Under a limit of the size of files, a file at that limit looks to SQLite like a disk that fails. */
export function isFull(failure: SqliteFailure): boolean {
  const { resultCode } = failure;
  return resultCode === SQLITE.full || (resultCode === SQLITE.ioError && fileSizeLimit() < Number.POSITIVE_INFINITY);
}

function storeFailure(path: string, error: unknown): unknown {
  if (!(error instanceof SqliteFailure)) return error;
  if (isFull(error)) return new StoreDiskFullError(path, error);
  switch (error.resultCode) {
    case SQLITE.busy:
      return new StoreLockedError(path, error);
    case SQLITE.corrupt:
    case SQLITE.notADatabase:
      return new StoreCorruptError(path, error.message, error);
    case SQLITE.readOnly:
    case SQLITE.ioError:
    case SQLITE.cannotOpen:
      return new StoreUnavailableError(path, error);
    default:
      return error;
  }
}
