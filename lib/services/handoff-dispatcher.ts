import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import type { TaskEventPayloads } from '@taskbridge/protocol';
import { isTerminalStatus } from '@taskbridge/protocol';
import type { EntityManager } from 'typeorm';
import { TaskExecutor } from '../executors/task-executor.js';
import { MetricsSink } from '../observability/metrics-sink.js';
import { ActionReceiptStore } from '../stores/action-receipt.store.js';
import { type AppendCommand, EventStore } from '../stores/event.store.js';
import { HandoffState, type TaskRecord } from '../stores/records.js';
import { SuspensionStore, type PendingResume } from '../stores/suspension.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { isTaskBridgeError, messageOf, TaskRejectedError } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { backoffDelayMs } from './backoff.js';
import { callWithTimeout } from './call-with-timeout.js';
import { errorText } from './event-text.js';
import { shownError } from './shown-error.js';
import { TaskResumeService } from './task-resume.service.js';

/**
 * `delivered`: the executor has it, from this instance or another, or the task ended first. `retry`: it failed and stays
 * pending with a backoff. `rejected`: the executor refused it for good and the task was ended. `exhausted`: so it was
 * after the last try.
 */
export type HandoffOutcome = 'delivered' | 'retry' | 'rejected' | 'exhausted';

interface Handoff {
  kind: 'submission' | 'resume' | 'cancellation';
  taskId: string;
  /** Tries so far, this one included. */
  attempts: number;
  readonly call: () => Promise<void>;
  readonly delivered: () => Promise<void>;
  readonly failed: (error: string, retryInMs: number) => Promise<void>;
  /** Asked under the lock of the task's row; `false` once anybody has delivered it. */
  readonly isPending: (task: TaskRecord, manager: EntityManager) => boolean | Promise<boolean>;
  readonly ending: (message: string) => AppendCommand;
  /** Whether a `TaskRejectedError` ends the task at once. */
  refusable: boolean;
  /** Whether the executor has the task whatever it answered; then the hand-off is delivered. */
  readonly hasArrived?: (task: TaskRecord) => boolean;
}

/**
 * Carries one durable hand-off to the executor and records what became of it. Called right after the commit that made
 * the hand-off, and again by reconciliation. It never throws: what cannot even be recorded stays pending.
 */
@Injectable()
export class HandoffDispatcher {
  private readonly logger = new Logger(HandoffDispatcher.name);

  constructor(
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly suspensions: SuspensionStore,
    private readonly receipts: ActionReceiptStore,
    private readonly metrics: MetricsSink,
    @Optional() private readonly executor?: TaskExecutor,
    @Optional() private readonly resumeService?: TaskResumeService,
  ) {}

  /** `false` where this process runs nothing: hand-offs are then left to the others. */
  get enabled(): boolean {
    return this.executor !== undefined;
  }

  /** For how long to claim a hand-off that this process is about to dispatch, in ms; 0 leaves it to others at once. */
  get claimMs(): number {
    return this.enabled ? this.settings.reconciliation.claimMs : 0;
  }

  /** Hands a new task to the executor; the last failure ends it with `TASK_FAILED` `TASK_SUBMISSION_ERROR`. */
  submit(task: TaskRecord): Promise<HandoffOutcome> {
    const { taskId } = task;
    return this.dispatch({
      kind: 'submission',
      taskId,
      attempts: Math.max(1, task.submission.attempts),
      call: async () => this.requireExecutor().submitTask(task),
      delivered: () => this.registry.markHandoffDelivered(taskId, 'submission'),
      failed: (error, retryInMs) => this.registry.markHandoffFailed(taskId, 'submission', error, retryInMs),
      isPending: ({ submission }) => submission.state === HandoffState.pending,
      ending: (message) => failure(taskId, { code: 'TASK_SUBMISSION_ERROR', message, retryable: true }),
      refusable: true,
      hasArrived: ({ attempt }) => attempt > 0,
    });
  }

  /** Hands an accepted answer to the resume service; the last failure ends the task with `TASK_RESUME_ERROR`. */
  resume(pending: PendingResume): Promise<HandoffOutcome> {
    const { taskId, clientActionId, resume } = pending.receipt;
    return this.dispatch({
      kind: 'resume',
      taskId,
      attempts: Math.max(1, resume.attempts),
      call: () => this.callResume(pending),
      delivered: () => this.suspensions.markResumeDispatched(taskId, clientActionId),
      failed: (error, retryInMs) => this.suspensions.markResumeFailed(taskId, clientActionId, error, retryInMs),
      isPending: async (_task, manager) => {
        const receipt = await this.receipts.getReceipt(taskId, clientActionId, { manager, lock: true });
        return receipt?.resume.state === HandoffState.pending;
      },
      ending: (message) => failure(taskId, { code: 'TASK_RESUME_ERROR', message, retryable: true }),
      refusable: true,
    });
  }

  /** Asks the executor to stop a task; the last failure ends it with `TASK_CANCELLED`. */
  cancel(task: TaskRecord): Promise<HandoffOutcome> {
    const { taskId } = task;
    const reason = task.cancelReason ?? 'cancelled_by_user';
    return this.dispatch({
      kind: 'cancellation',
      taskId,
      attempts: Math.max(1, task.cancellation.attempts),
      call: async () => this.requireExecutor().requestCancellation(task),
      delivered: () => this.registry.markHandoffDelivered(taskId, 'cancellation'),
      failed: (error, retryInMs) => this.registry.markHandoffFailed(taskId, 'cancellation', error, retryInMs),
      isPending: ({ cancellation }) => cancellation.state === HandoffState.pending,
      ending: () => ({ taskId, type: 'TASK_CANCELLED', attempt: null, payload: { reason } }),
      refusable: false,
    });
  }

  private async dispatch(handoff: Handoff): Promise<HandoffOutcome> {
    let outcome: HandoffOutcome;
    try {
      outcome = await this.attempt(handoff);
    } catch (error) {
      this.logger.error(`The ${handoff.kind} of task ${handoff.taskId} stays pending: ${messageOf(error)}`);
      outcome = 'retry';
    }
    this.metrics.count('taskbridge_handoffs_total', 1, { kind: handoff.kind, outcome });
    return outcome;
  }

  private async attempt(handoff: Handoff): Promise<HandoffOutcome> {
    const { kind, taskId, attempts } = handoff;
    const { maxAttempts, dispatchTimeoutMs } = this.settings.reconciliation;
    // More claims than tries: the processes that claimed it died while at it.
    if (attempts > maxAttempts) {
      return this.exhaust(handoff, 'the processes that tried died');
    }
    const call = Promise.resolve().then(handoff.call);
    try {
      await callWithTimeout(() => call, dispatchTimeoutMs, `The ${kind} of task ${taskId}`);
    } catch (error) {
      void this.acknowledgeLate(call, handoff);
      return this.failed(handoff, error);
    }
    await handoff.delivered();
    return 'delivered';
  }

  /** An executor that took its time has it all the same, and need not be asked again. */
  private async acknowledgeLate(call: Promise<void>, { delivered, kind, taskId }: Handoff): Promise<void> {
    try {
      await call;
      await delivered();
    } catch (error) {
      this.logger.debug(`The ${kind} of task ${taskId} did not succeed later either: ${messageOf(error)}`);
    }
  }

  private async failed(handoff: Handoff, error: unknown): Promise<HandoffOutcome> {
    const { kind, taskId, attempts } = handoff;
    if (handoff.refusable && isRejection(error)) {
      return (await this.end(handoff, errorText(error))) ? 'rejected' : 'delivered';
    }
    this.logger.warn(`The ${kind} of task ${taskId} failed (try ${attempts}): ${shownError(errorText(error))}`);
    const retryInMs = backoffDelayMs(attempts, this.settings.reconciliation);
    await handoff.failed(errorText(error), retryInMs);
    const isLast = attempts >= this.settings.reconciliation.maxAttempts;
    return isLast ? this.exhaust(handoff, shownError(errorText(error)) ?? '') : 'retry';
  }

  private async exhaust(handoff: Handoff, cause: string): Promise<HandoffOutcome> {
    const tries = this.settings.reconciliation.maxAttempts;
    const message = `The ${handoff.kind} failed ${tries} times, in the end: ${cause}`;
    if (await this.end(handoff, message, handoff.hasArrived)) return 'exhausted';
    await handoff.delivered();
    return 'delivered';
  }

  /** Whether the task is ended: not one that was delivered meanwhile, which the locks decide. */
  private end(handoff: Handoff, message: string, hasArrived?: Handoff['hasArrived']): Promise<boolean> {
    const { taskId, isPending, ending } = handoff;
    return this.registry.transaction(
      async (manager) => {
        const task = await this.registry.getTask(taskId, { manager, lock: true });
        if (task === undefined || hasArrived?.(task) || !(await isPending(task, manager))) return false;
        await this.events.append(ending(message), { manager });
        return true;
      },
      { taskId },
    );
  }

  private async callResume(pending: PendingResume): Promise<void> {
    const task = await this.registry.getTask(pending.receipt.taskId);
    if (task === undefined || isTerminalStatus(task.status)) {
      return;
    }
    if (this.resumeService === undefined) {
      throw new Error('No TaskResumeService is provided in this process');
    }
    await this.resumeService.resumeTask(task, pending);
  }

  private requireExecutor(): TaskExecutor {
    if (this.executor === undefined) {
      throw new Error('This process was configured with execution: false and has no TaskExecutor');
    }
    return this.executor;
  }
}

function failure(taskId: string, payload: TaskEventPayloads['TASK_FAILED']): AppendCommand {
  return { taskId, type: 'TASK_FAILED', attempt: null, payload };
}

function isRejection(error: unknown): boolean {
  return error instanceof TaskRejectedError || (isTaskBridgeError(error) && error.name === 'TaskRejectedError');
}
