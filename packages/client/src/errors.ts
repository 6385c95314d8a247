import type { ErrorCode, JsonObject, TaskFailedPayload } from '@taskbridge/protocol';
import type { TaskGap } from './recovery/task-gap.js';

/** What goes wrong in the client itself, beside the {@link ErrorCode}s of the server. */
export type ClientErrorCode =
  /** No answer after all tries; `cause` is the last failure. */
  | 'CONNECTION_FAILED'
  /** An answer that is not TaskBridge's: a proxy's page, a route that does not exist. */
  | 'UNEXPECTED_ANSWER'
  /** The task ended without a result. */
  | 'TASK_FAILED'
  | 'TASK_CANCELLED';

/**
 * Everything this client throws, apart from aborts, which throw the signal's reason, and from what the host's own
 * `authHeaderProvider` and `onGap` throw. Branch on `code`.
 */
export class TaskBridgeClientError extends Error {
  /** One of {@link ClientErrorCode} or {@link ErrorCode}, or a code of the host's own. */
  readonly code: string;

  constructor(code: ClientErrorCode | ErrorCode | (string & {}), message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** The server's refusal of a request or of a subscription. */
export class RequestRefusedError extends TaskBridgeClientError {
  /** HTTP status; 0 where the refusal came over a WebSocket. */
  readonly status: number;
  readonly details: JsonObject | undefined;
  /** How long the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    message: string,
    {
      status,
      details,
      retryAfterMs,
    }: { status: number; details?: JsonObject | undefined; retryAfterMs?: number | undefined },
  ) {
    super(code, message);
    this.status = status;
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }

  /** The same request may succeed later. */
  get isRetryable(): boolean {
    return this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

/** `waitForResult` of a task that failed: what its `TASK_FAILED` event says. */
export class TaskFailedError extends TaskBridgeClientError {
  constructor(
    readonly taskId: string,
    readonly failure: TaskFailedPayload,
  ) {
    super('TASK_FAILED', `Task ${taskId} failed: ${failure.code}: ${failure.message}`);
  }
}

/** `waitForResult` of a task that was cancelled. */
export class TaskCancelledError extends TaskBridgeClientError {
  constructor(
    readonly taskId: string,
    readonly reason: string,
  ) {
    super('TASK_CANCELLED', `Task ${taskId} was cancelled: ${reason}`);
  }
}

/** Events are not stored any more and nobody was there to be told: observe with `onGap`. */
export class TaskGapError extends TaskBridgeClientError {
  constructor(readonly gap: TaskGap) {
    const { taskId, afterEventId, retainedFromEventId } = gap;
    super('EVENT_GAP', `Task ${taskId}: the events between ${afterEventId} and ${retainedFromEventId} are gone`);
  }
}
