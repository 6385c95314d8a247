import type { EntityManager } from 'typeorm';
import { errorText, eventText } from '../services/event-text.js';
import type { TaskAttempt, TaskFailure } from '../services/task-attempt.js';
import type { SuspensionRequest, TaskRecord } from '../stores/records.js';
import type { PendingResume } from '../stores/suspension.store.js';
import { isTaskBridgeError, isTaskFailedError, TaskBridgeError } from '../taskbridge.errors.js';
import type { RegisteredHandler } from './task-handler.registry.js';
import type { RunPorts } from './run-ports.js';

/** How a run ended. `superseded`: the task ended or went to another run meanwhile, and nothing was written. */
export type RunOutcome = 'completed' | 'failed' | 'cancelled' | 'suspended' | 'runnable' | 'superseded';

export interface LeasedRun {
  readonly task: TaskRecord;
  readonly handler: RegisteredHandler;
  readonly attempt: TaskAttempt;
  /** The accepted answer that this run takes; `undefined` for a first run. */
  readonly answer: PendingResume | undefined;
}

const FENCED = new Set<string>(['ATTEMPT_SUPERSEDED', 'TASK_ALREADY_TERMINAL', 'TASK_NOT_FOUND']);
const UNAVAILABLE = new Set<string>(['INTERNAL_ERROR', 'SERVICE_UNAVAILABLE']);
/** Pause before a task whose run could not be concluded is run again. */
const UNCONCLUDED_PAUSE_MS = 5_000;
const MAX_CODE_LENGTH = 128;

/** Writes the end of one run: its terminal event, or the hand-over of its lease. */
export class RunConclusion {
  constructor(
    private readonly ports: RunPorts,
    private readonly run: LeasedRun,
  ) {}

  /** A result that cannot be logged (too large, not JSON) fails the task. */
  async complete(result: unknown): Promise<RunOutcome> {
    try {
      await this.run.attempt.complete(result);
      return 'completed';
    } catch (error) {
      return isHandlersFault(error) ? this.fail(error) : this.unwritten(error);
    }
  }

  async fail(error: unknown): Promise<RunOutcome> {
    return this.write('failed', () => this.run.attempt.fail(failureOf(error)));
  }

  async cancel(): Promise<RunOutcome> {
    return this.write('cancelled', () => this.run.attempt.cancelled(this.run.task.cancelReason ?? undefined));
  }

  /** Opens the questions and frees the worker, in one transaction; `runnable` when the next answer is there already. */
  async wait(requests: readonly SuspensionRequest[]): Promise<RunOutcome> {
    await this.run.attempt.settled();
    try {
      this.assertResumable();
      const { taskId } = this.run.attempt;
      // Whoever holds the row must not make the handler run again.
      const row = { taskId, patienceMs: Infinity };
      return await this.ports.registry.transaction((manager) => this.release(requests, manager), row);
    } catch (error) {
      return isHandlersFault(error) ? this.fail(error) : this.unwritten(error);
    }
  }

  /** Gives the lease back at no cost in retries; this attempt is fenced. */
  async handBack(delayMs = 0): Promise<RunOutcome> {
    const { taskId, attempt } = this.run.attempt;
    const { leases, processId } = this.ports;
    return (await leases.handBack({ taskId, attempt, processId }, delayMs)) ? 'runnable' : 'superseded';
  }

  private async write(outcome: RunOutcome, append: () => Promise<unknown>): Promise<RunOutcome> {
    try {
      await append();
      return outcome;
    } catch (error) {
      return this.unwritten(error);
    }
  }

  /**
   * For an error that is not the handler's: the run is fenced, or the database was unreachable beyond the lane's own
   * patience; then it rejects with the error, and the task runs again after a pause.
   */
  async unwritten(error: unknown): Promise<RunOutcome> {
    if (isTaskBridgeError(error) && FENCED.has(error.code)) return 'superseded';
    await this.handBack(UNCONCLUDED_PAUSE_MS);
    throw error;
  }

  private async release(requests: readonly SuspensionRequest[], manager: EntityManager): Promise<RunOutcome> {
    const { taskId, attempt } = this.run.attempt;
    const { leases, suspensions, events, processId } = this.ports;
    const task = await leases.lockHeld({ taskId, attempt, processId }, manager);
    if (task === undefined) return 'superseded';
    if (task.cancelRequestedAt !== null) {
      const reason = task.cancelReason ?? 'cancelled_by_user';
      await events.append({ taskId, type: 'TASK_CANCELLED', attempt, payload: { reason } }, { manager });
      return 'cancelled';
    }
    if (requests.length > 0) await suspensions.openSuspensions({ taskId, attempt, requests }, { manager });
    return this.park(requests, manager);
  }

  private async park(requests: readonly SuspensionRequest[], manager: EntityManager): Promise<RunOutcome> {
    const { taskId } = this.run.attempt;
    const { leases, suspensions } = this.ports;
    const { answer } = this.run;
    if (answer !== undefined) await suspensions.markResumeConsumed(taskId, answer.receipt.clientActionId, manager);
    const next = await suspensions.nextUnconsumedResume(taskId, manager);
    if (requests.length === 0 && next === undefined) await this.assertWaiting(manager);
    await leases.suspend(taskId, { runAgain: next !== undefined }, manager);
    return next === undefined ? 'suspended' : 'runnable';
  }

  private assertResumable(): void {
    const { taskType, name, runner } = this.run.handler;
    if (runner.resume !== undefined && this.ports.reporter.canResume()) return;
    const missing = runner.resume === undefined ? `${name} has no resume method` : 'the resume service cannot resume';
    throw new TaskBridgeError('INVALID_TASK_STATE', `A run of "${taskType}" suspended, but ${missing}`);
  }

  private async assertWaiting(manager: EntityManager): Promise<void> {
    const { taskId } = this.run.attempt;
    const open = await this.ports.suspensions.listOpen(taskId, { manager });
    if (open.length > 0) return;
    throw new TaskBridgeError(
      'INVALID_TASK_STATE',
      'The run keeps waiting, but no question is open and no answer is due',
    );
  }
}

/** What the log can take, whatever was thrown: an ending that is refused would run the task again for ever. */
function failureOf(error: unknown): TaskFailure {
  const message = errorText(error);
  if (!isTaskFailedError(error)) return { message };
  const code = typeof error.code === 'string' ? eventText(error.code).slice(0, MAX_CODE_LENGTH) : '';
  return { message, retryable: error.retryable, ...(code !== '' && { code }) };
}

/** Refused for what the handler reported or returned, not for where the task or the database stands. */
function isHandlersFault(error: unknown): boolean {
  return isTaskBridgeError(error) && !FENCED.has(error.code) && !UNAVAILABLE.has(error.code);
}
