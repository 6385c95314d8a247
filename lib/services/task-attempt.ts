import {
  isTerminalEventType,
  type TaskEventPayloads,
  type TaskEventType,
  type TaskMessageLevel,
  type TaskProgressPayload,
} from '@taskbridge/protocol';
import type { ProgressDetails } from '../executors/task-handler.js';
import type { AppendResult, EventStore } from '../stores/event.store.js';
import type { SuspensionRequest } from '../stores/records.js';
import type { SuspensionStore } from '../stores/suspension.store.js';
import type { TaskRegistry } from '../stores/task-registry.js';
import { TaskBridgeError } from '../taskbridge.errors.js';
import { DeltaStream, type TaskStreamOptions } from './delta-stream.js';
import { ReportOrder } from './report-order.js';

export interface ReportOptions {
  /** UUID that makes a repeat of this report safe for producers that may send it twice. */
  appendId?: string | undefined;
}

export interface TaskFailure {
  /** One of `TASK_FAILURE_CODES` or the host's own. @default 'TASK_EXECUTION_FAILED' */
  code?: string | undefined;
  /** Shown to clients. */
  message: string;
  /** Whether creating the task anew may succeed. @default false */
  retryable?: boolean | undefined;
}

/** What an attempt reports through; the same for every attempt of one module. */
export interface AttemptPorts {
  readonly registry: TaskRegistry;
  readonly events: EventStore;
  readonly suspensions: SuspensionStore;
  canResume(): boolean;
}

export interface AttemptIdentity {
  taskId: string;
  attempt: number;
  /** True when this object is the attempt's only reporter: its reports are then numbered. */
  numbered: boolean;
}

/**
 * One attempt at a task, through which its executor reports. Every call is one append with its status change and
 * resolves when that is durable. Calls keep their order, awaited or not; a rejection that nobody awaits is dropped.
 * They reject with `ATTEMPT_SUPERSEDED` once a later attempt has begun, `TASK_ALREADY_TERMINAL` once the task has ended,
 * `INVALID_TASK_STATE` out of turn, and `REQUEST_VALIDATION_ERROR` or `PAYLOAD_TOO_LARGE` for what was reported; a
 * refused report has written nothing and the next ones are not affected.
 */
export class TaskAttempt {
  readonly taskId: string;
  readonly attempt: number;
  private readonly numbered: boolean;
  private readonly order = new ReportOrder();
  private readonly merging = new Set<DeltaStream>();
  private lastNo = 0;

  constructor(
    private readonly ports: AttemptPorts,
    identity: AttemptIdentity,
  ) {
    this.taskId = identity.taskId;
    this.attempt = identity.attempt;
    this.numbered = identity.numbered;
  }

  /** `TASK_STARTED`: once per task, by its first attempt; a later one announces itself by a message. */
  started(message?: string, options?: ReportOptions): Promise<AppendResult> {
    return this.report('TASK_STARTED', message === undefined ? {} : { message }, options);
  }

  /** `progress` is a percentage, 0–100. */
  progress(progress: number, details: ProgressDetails = {}, options?: ReportOptions): Promise<AppendResult> {
    const { stage, message } = details;
    const payload: TaskProgressPayload = { progress };
    if (stage !== undefined) payload.stage = stage;
    if (message !== undefined) payload.message = message;
    return this.report('TASK_PROGRESS', payload, options);
  }

  message(text: string, level: TaskMessageLevel = 'info', options?: ReportOptions): Promise<AppendResult> {
    return this.report('TASK_MESSAGE', { message: text, level }, options);
  }

  /**
   * For text in many small pieces, such as a language model's tokens: merged before it is appended, 50 deltas or those
   * of 33 ms to one `TASK_MESSAGE`, in order. Every other report lets what is merged so far go first.
   */
  stream({ level = 'info', ...limits }: TaskStreamOptions = {}): DeltaStream {
    const append = (message: string): Promise<unknown> =>
      this.order.ordinary(() => this.append('TASK_MESSAGE', { message, level }));
    return new DeltaStream({ append, merging: this.merging }, limits);
  }

  /** Appends what streams have merged so far. */
  cutStreams(): void {
    if (this.merging.size === 0) return;
    for (const stream of this.merging) stream.cut();
  }

  /** The same where the run may not go on: also half a character, whose other half will not come. */
  private endStreams(): void {
    for (const stream of this.merging) stream.end();
  }

  /**
   * Asks one question or several at once, all or none of them; resolves with their suspend ids, in order. Waits for the
   * reports before it. Rejects with `INVALID_TASK_STATE` where nobody could resume the task.
   */
  suspend(requests: SuspensionRequest | readonly SuspensionRequest[], options: ReportOptions = {}): Promise<string[]> {
    const list = isList(requests) ? requests : [requests];
    this.endStreams();
    return this.order.exclusive(async () => {
      this.assertResumable();
      const { taskId, attempt } = this;
      const appendNo = this.take(list.length);
      const { appendId } = options;
      const opened = await this.ports.suspensions.openSuspensions({
        taskId,
        attempt,
        requests: list,
        appendNo,
        appendId,
      });
      return opened.map(({ suspendId }) => suspendId);
    });
  }

  /** Ends the task COMPLETED; `undefined` becomes `null`. */
  complete(result?: unknown, options?: ReportOptions): Promise<AppendResult> {
    return this.report('TASK_COMPLETED', { result: result === undefined ? null : result }, options);
  }

  /** Ends the task FAILED. */
  fail(failure: TaskFailure, options?: ReportOptions): Promise<AppendResult> {
    const { code = 'TASK_EXECUTION_FAILED', message, retryable = false } = failure;
    return this.report('TASK_FAILED', { code, message, retryable }, options);
  }

  /** Ends the task CANCELLED; without a reason, with the one that the cancellation was requested with. */
  cancelled(reason?: string, options?: ReportOptions): Promise<AppendResult> {
    if (reason !== undefined) {
      return this.report('TASK_CANCELLED', { reason }, options);
    }
    this.endStreams();
    return this.order.exclusive(async () => {
      const task = await this.ports.registry.getTask(this.taskId);
      return this.append('TASK_CANCELLED', { reason: task?.cancelReason ?? 'cancelled_by_user' }, options);
    });
  }

  /** Resolves when every report so far has settled, refused ones included. */
  settled(): Promise<void> {
    this.endStreams();
    return this.order.settled();
  }

  private report<T extends TaskEventType>(
    type: T,
    payload: TaskEventPayloads[T],
    options?: ReportOptions,
  ): Promise<AppendResult> {
    if (isTerminalEventType(type)) this.endStreams();
    else this.cutStreams();
    return this.order.ordinary(() => this.append(type, payload, options));
  }

  private append<T extends TaskEventType>(
    type: T,
    payload: TaskEventPayloads[T],
    options: ReportOptions = {},
  ): Promise<AppendResult> {
    const { taskId, attempt } = this;
    return this.ports.events.append({ taskId, type, payload, attempt, appendNo: this.take(1), ...options });
  }

  /** A number that a refused report took is not used again: numbers grow, they need not be dense. */
  private take(count: number): number | undefined {
    if (!this.numbered) return undefined;
    const first = this.lastNo + 1;
    this.lastNo += count;
    return first;
  }

  private assertResumable(): void {
    if (this.ports.canResume()) return;
    throw new TaskBridgeError(
      'INVALID_TASK_STATE',
      `Task ${this.taskId} cannot be suspended, because nobody could resume it: give the executor a resumeTask method or supply a resumeService`,
    );
  }
}

function isList(requests: SuspensionRequest | readonly SuspensionRequest[]): requests is readonly SuspensionRequest[] {
  return Array.isArray(requests);
}
