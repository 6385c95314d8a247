import type { AttachmentStore } from '../stores/attachment.store.js';
import type { AttachmentRecord, JsonObject, SuspensionRequest, TaskRecord } from '../stores/records.js';
import type { TaskStreamOptions } from '../services/delta-stream.js';
import type { TaskAttempt } from '../services/task-attempt.js';
import { TaskBridgeError } from '../taskbridge.errors.js';
import type { ProgressDetails, TaskAttachment, TaskContext, TaskStream, WaitingOutcome } from './task-handler.js';

const WAITING: WaitingOutcome = Object.freeze({ kind: 'taskbridge:waiting' });

/** Tells whether a handler returned what `suspend` or `keepWaiting` had given it. */
export function isWaitingOutcome(value: unknown): value is WaitingOutcome {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === WAITING.kind;
}

export interface RunContextParts {
  task: TaskRecord;
  attempt: TaskAttempt;
  attachments: readonly TaskAttachment[];
  signal: AbortSignal;
}

/** The `TaskContext` of one run. It forwards reports to the attempt until the run has ended, and refuses them after. */
export class RunContext implements TaskContext {
  readonly taskId: string;
  readonly taskType: string;
  readonly ownerId: string;
  readonly attempt: number;
  readonly input: JsonObject;
  readonly metadata: JsonObject;
  readonly attachments: readonly TaskAttachment[];
  readonly signal: AbortSignal;
  private readonly reports: TaskAttempt;
  private ended = false;
  private requests: readonly SuspensionRequest[] | undefined;

  constructor({ task, attempt, attachments, signal }: RunContextParts) {
    this.taskId = task.taskId;
    this.taskType = task.taskType;
    this.ownerId = task.ownerId;
    this.attempt = attempt.attempt;
    this.input = task.input;
    this.metadata = task.metadata;
    this.attachments = attachments;
    this.signal = signal;
    this.reports = attempt;
  }

  /** What the run asked to wait for: empty for `keepWaiting`, `undefined` when it did not ask to wait. */
  get requested(): readonly SuspensionRequest[] | undefined {
    return this.requests;
  }

  /** Called when the handler has returned or thrown, and when the run is given up. What it has streamed is logged. */
  close(): void {
    this.ended = true;
    this.reports.cutStreams();
  }

  progress(progress: number, details?: ProgressDetails): Promise<void> {
    return this.report(() => this.reports.progress(progress, details));
  }

  message(text: string, level?: 'info' | 'warning' | 'debug'): Promise<void> {
    return this.report(() => this.reports.message(text, level));
  }

  stream(options?: TaskStreamOptions): TaskStream {
    const deltas = this.reports.stream(options);
    return {
      write: (delta) => this.report(() => deltas.write(delta)),
      flush: () => this.report(() => deltas.flush()),
    };
  }

  suspend(request: SuspensionRequest | readonly SuspensionRequest[]): WaitingOutcome {
    const requests = isList(request) ? request : [request];
    if (requests.length === 0) {
      throw new TaskBridgeError('REQUEST_VALIDATION_ERROR', `Task ${this.taskId} suspended without a request`);
    }
    return this.wait(requests);
  }

  keepWaiting(): WaitingOutcome {
    return this.wait([]);
  }

  private wait(requests: readonly SuspensionRequest[]): WaitingOutcome {
    this.assertOpen();
    if (this.requests !== undefined) {
      throw new TaskBridgeError(
        'INVALID_TASK_STATE',
        `The run of task ${this.taskId} asked to wait twice; ask once, with all requests`,
      );
    }
    this.requests = requests;
    return WAITING;
  }

  /** A report that nobody awaits may be refused without ending the process. */
  private report(send: () => Promise<unknown>): Promise<void> {
    const report = this.ended ? Promise.reject(this.endedError()) : send().then(() => undefined);
    report.catch(() => undefined);
    return report;
  }

  private assertOpen(): void {
    if (this.ended) throw this.endedError();
  }

  private endedError(): TaskBridgeError {
    return new TaskBridgeError(
      'INVALID_TASK_STATE',
      `The run of task ${this.taskId} has ended and cannot report any more`,
    );
  }
}

/** The task's files as its handler sees them. */
export function taskAttachments(store: AttachmentStore, records: readonly AttachmentRecord[]): TaskAttachment[] {
  return records.map((record) => ({
    name: record.name,
    contentType: record.contentType,
    sizeBytes: record.sizeBytes,
    sha256: record.sha256,
    open: () => store.open(record),
  }));
}

function isList(request: SuspensionRequest | readonly SuspensionRequest[]): request is readonly SuspensionRequest[] {
  return Array.isArray(request);
}
