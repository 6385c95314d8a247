import type { Readable } from 'node:stream';
import type { TaskStreamOptions } from '../services/delta-stream.js';
import type { AttachmentRecord, JsonObject, SuspensionRequest } from '../stores/records.js';

/** Why a run's signal was aborted; it is the signal's `reason`. */
export type AbortReason = 'CANCELLED' | 'SHUTDOWN' | 'SUPERSEDED' | 'DEADLINE';

export interface ProgressDetails {
  /** Name of the current phase. */
  stage?: string;
  message?: string;
}

/** A file that came with the task; each `open` reads it again from the start. */
export interface TaskAttachment extends Pick<AttachmentRecord, 'name' | 'contentType' | 'sizeBytes' | 'sha256'> {
  open(): Readable;
}

/** Text in many small pieces on its way into the log. */
export interface TaskStream {
  /**
   * Takes one piece and resolves when the next one is welcome, which is at once unless the log is behind: await it where
   * the source can wait. Rejects once any earlier piece was refused; nothing more is logged then.
   */
  write(delta: string): Promise<void>;
  /** Resolves when everything written so far is durable. Before any other report, and at the run's end, it happens by itself. */
  flush(): Promise<void>;
}

/** Returned by `suspend` and `keepWaiting`; the run must return it in turn. */
export interface WaitingOutcome {
  readonly kind: 'taskbridge:waiting';
}

/** The accepted answer that a run resumes with. */
export interface TaskAnswer {
  suspendId: string;
  clientActionId: string;
  actionType: string;
  payload: JsonObject | null;
  /** Subject that answered; `null` when the suspension expired. */
  acceptedBy: string | null;
  acceptedAt: Date;
  /** What the run gave as `state` when it suspended. */
  state: unknown;
}

/** What one run sees of its task. Reports are durable once awaited; unawaited ones keep their order. */
export interface TaskContext {
  readonly taskId: string;
  readonly taskType: string;
  readonly ownerId: string;
  /** 1 for the first run, larger for every later one; put it into keys of side effects that must not repeat. */
  readonly attempt: number;
  readonly input: JsonObject;
  readonly metadata: JsonObject;
  readonly attachments: readonly TaskAttachment[];
  /** Aborted with an `AbortReason`; a run that is told to stop should throw or return soon. */
  readonly signal: AbortSignal;
  /** 0–100. */
  progress(progress: number, details?: ProgressDetails): Promise<void>;
  /** @default level 'info' */
  message(text: string, level?: 'info' | 'warning' | 'debug'): Promise<void>;
  /**
   * For text that comes in many small pieces, such as a language model's tokens. Pieces are merged before they are logged,
   * 50 or those of 33 ms to one `TASK_MESSAGE`; a reader joins the messages' texts as they are.
   */
  stream(options?: TaskStreamOptions): TaskStream;
  /** Ends this run and waits for an answer to each request; `return` the outcome. Nothing is thrown. */
  suspend(request: SuspensionRequest | readonly SuspensionRequest[]): WaitingOutcome;
  /** Ends this run while other questions stay open; `return` the outcome. */
  keepWaiting(): WaitingOutcome;
}

/**
 * What a class decorated with `@TaskHandler(type)` implements. The returned value becomes the result. A thrown error
 * fails the task, and its message, never its stack, is what the task's followers see; a `TaskFailedError` also chooses
 * the code and whether a retry makes sense. Runs may be repeated after a crash, so side effects should be idempotent by
 * `taskId`.
 */
export interface TaskRunner {
  run(task: TaskContext): Promise<unknown>;
  /** Called once per accepted answer, in the order of acceptance, on whichever instance takes it. */
  resume?(task: TaskContext, answer: TaskAnswer): Promise<unknown>;
}

export interface TaskHandlerOptions {
  /** Runs of this type at a time in one process. @default `execution.concurrency` */
  concurrency?: number;
  /** What happens to a run whose process died. @default 'retry' */
  onInterrupted?: 'retry' | 'fail';
  /** Runs in all when interrupted runs are retried, the first included. @default 3 */
  maxAttempts?: number;
  /** Pause before an interrupted task runs again, in ms; doubled each time. @default 1 000 */
  backoffMs?: number;
  /** The task fails with `DEADLINE_EXCEEDED` when it has not ended by then, in ms from its creation. @default none */
  deadlineMs?: number;
}
