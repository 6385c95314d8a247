import type { ErrorCode } from '@taskbridge/protocol';

export interface TaskBridgeErrorOptions {
  /** Machine-readable facts for the client; sent as `details` of the error envelope. */
  details?: Record<string, unknown>;
  cause?: unknown;
}

/**
 * The one error class of the library. Services, stores and executors throw it; the transports map `code` to an HTTP
 * status or a WebSocket close in one place each. The message is safe to show to the client.
 */
export class TaskBridgeError extends Error {
  readonly code: ErrorCode;
  readonly details: Record<string, unknown> | undefined;

  constructor(code: ErrorCode, message: string, options: TaskBridgeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.details = options.details;
  }
}

/**
 * Thrown by `TaskExecutor.submitTask` to refuse a task for good: the task ends with `TASK_FAILED`
 * (`TASK_SUBMISSION_ERROR`) and the creating request is answered 503. Any other error is retried.
 */
export class TaskRejectedError extends TaskBridgeError {
  constructor(message: string, options: TaskBridgeErrorOptions = {}) {
    super('TASK_SUBMISSION_ERROR', message, options);
  }
}

export interface TaskFailedErrorOptions {
  /** Code of `TASK_FAILED`; the host's own vocabulary. @default 'TASK_EXECUTION_FAILED' */
  code?: string;
  /** Tells clients whether a new task with the same input may succeed. @default false */
  retryable?: boolean;
  cause?: unknown;
}

/** Thrown by a handler to choose what its task's `TASK_FAILED` says; any other error fails it with the defaults. */
export class TaskFailedError extends Error {
  readonly code: string;
  readonly retryable: boolean;

  constructor(
    message: string,
    { code = 'TASK_EXECUTION_FAILED', retryable = false, cause }: TaskFailedErrorOptions = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = retryable;
  }
}

/** Duck-typed like `isTaskBridgeError`. */
export function isTaskFailedError(error: unknown): error is TaskFailedError {
  return isKind(error, TaskFailedError, ['TaskFailedError']);
}

/** One offending field of a request, named the way the client wrote it (`input.rows[3]`). */
export interface FieldProblem {
  field: string;
  message: string;
}

/** The 422 refusal: lists every offending field. */
export function validationError(fields: readonly FieldProblem[]): TaskBridgeError {
  const first = fields[0];
  const message = first ? `${first.field}: ${first.message}` : 'The request is not valid';
  return new TaskBridgeError('REQUEST_VALIDATION_ERROR', message, { details: { fields } });
}

/** The refusal for an unknown task and, on purpose indistinguishable, for somebody else's task. */
export function taskNotFound(taskId: string): TaskBridgeError {
  return new TaskBridgeError('TASK_NOT_FOUND', `Task ${taskId} does not exist`);
}

/** Duck-typed, because an error of another realm or of a second copy of the package is not `instanceof`. */
export function isTaskBridgeError(error: unknown): error is TaskBridgeError {
  return isKind(error, TaskBridgeError, ['TaskBridgeError', 'TaskRejectedError']);
}

/** False for whatever cannot even be looked at, such as a hostile proxy. */
function isKind(error: unknown, kind: new (...args: never[]) => Error, names: readonly string[]): boolean {
  try {
    if (error instanceof kind) return true;
    if (typeof error !== 'object' || error === null || !('name' in error) || !('code' in error)) return false;
    return names.includes(String(error.name));
  } catch {
    return false;
  }
}

/** The message of anything thrown; never a stack, and never an error of its own, whatever was thrown. */
export function messageOf(error: unknown): string {
  try {
    return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
  } catch {
    return 'something without a readable message was thrown';
  }
}
