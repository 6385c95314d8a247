import { Inject, Injectable, Logger, Optional } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { TaskExecutor } from '../executors/task-executor.js';
import { MetricsSink } from '../observability/metrics-sink.js';
import { OwnershipPolicy } from '../security/ownership-policy.js';
import { AfterCommit } from '../stores/after-commit.js';
import { AttachmentStore } from '../stores/attachment.store.js';
import type { TaskRecord } from '../stores/records.js';
import { type NewTask, type TaskCreation, TaskRegistry } from '../stores/task-registry.js';
import { WakeUps } from '../streams/wake-ups.js';
import { TaskBridgeError, messageOf, validationError } from '../taskbridge.errors.js';
import { BackgroundWork } from './background-work.js';
import { checkCreateCommand } from './command-checks.js';
import type { TaskCreateCommand, TaskCreatedResult } from './commands.js';
import { HandoffDispatcher, type HandoffOutcome } from './handoff-dispatcher.js';
import { hashOfCreate } from './request-hash.js';

export interface CreateTaskOptions {
  /** Joins this manager's transaction: nothing is submitted before it commits, nothing remains if it rolls back. */
  manager?: EntityManager | undefined;
}

/** Creates tasks, once per (owner, clientRequestId), and hands each new one to the executor. */
@Injectable()
export class TaskCreationService {
  private readonly logger = new Logger(TaskCreationService.name);

  constructor(
    private readonly registry: TaskRegistry,
    private readonly attachments: AttachmentStore,
    private readonly policy: OwnershipPolicy,
    private readonly dispatcher: HandoffDispatcher,
    private readonly afterCommit: AfterCommit,
    private readonly background: BackgroundWork,
    private readonly wakeUps: WakeUps,
    private readonly metrics: MetricsSink,
    @Optional() @Inject(TaskExecutor) private readonly executor: TaskExecutor | null = null,
  ) {}

  /**
   * Idempotent by (owner, clientRequestId): a repeat with the same type, input and attachments returns the first task
   * with `deduplicated: true`. Rejects with `IDEMPOTENCY_CONFLICT` for another content, `TASK_OWNERSHIP_ERROR` by the
   * policy, `REQUEST_VALIDATION_ERROR`, and `TASK_SUBMISSION_ERROR` when the executor refuses the task for good (it is
   * then FAILED). An executor that cannot be reached does not reject: the task is accepted and submitted later.
   * Staged attachments of a call that creates nothing are discarded.
   */
  async createTask(command: TaskCreateCommand, options: CreateTaskOptions = {}): Promise<TaskCreatedResult> {
    try {
      const creation = await this.persist(command, options.manager);
      if (!creation.created) await this.attachments.discard(command.attachments ?? []);
      return await this.answer(command, creation, options.manager);
    } catch (error) {
      if (options.manager === undefined) await this.discardUnbound(command, error);
      throw error;
    }
  }

  private async persist(command: TaskCreateCommand, manager: EntityManager | undefined): Promise<TaskCreation> {
    checkCreateCommand(command);
    if (this.executor?.acceptsTaskType?.(command.taskType) === false) {
      throw validationError([{ field: 'taskType', message: `no handler runs tasks of type "${command.taskType}"` }]);
    }
    await this.policy.assertTaskCreate(command.auth, command);
    const task = this.newTask(command);
    const attachments = command.attachments ?? [];
    if (attachments.length === 0) return this.registry.createTask(task, { manager });
    const insert = async (inside: EntityManager) => {
      const creation = await this.registry.createTask(task, { manager: inside });
      if (creation.created) await this.attachments.bind(task.taskId, attachments, { manager: inside });
      return creation;
    };
    if (manager !== undefined) return insert(manager);
    return this.registry.transaction(insert, { taskId: task.taskId, newTask: task });
  }

  private newTask(command: TaskCreateCommand): NewTask {
    return {
      taskId: uuidv7(),
      ownerId: command.auth.subject,
      appId: command.auth.appId,
      clientRequestId: command.clientRequestId,
      taskType: command.taskType,
      input: command.input ?? {},
      metadata: command.metadata ?? {},
      requestHash: hashOfCreate(command),
      deadlineMs: command.deadlineMs ?? this.executor?.deadlineMsOf?.(command.taskType) ?? null,
      traceparent: command.traceparent ?? null,
      submissionClaimMs: this.dispatcher.claimMs,
    };
  }

  private async answer(
    command: TaskCreateCommand,
    { task, created, requestHash }: TaskCreation,
    manager: EntityManager | undefined,
  ): Promise<TaskCreatedResult> {
    if (created) await this.announce(task, manager);
    else if (requestHash !== hashOfCreate(command)) {
      throw new TaskBridgeError(
        'IDEMPOTENCY_CONFLICT',
        `clientRequestId "${command.clientRequestId}" was used for another task; send a new id for a new request`,
        { details: { taskId: task.taskId } },
      );
    }
    return {
      taskId: task.taskId,
      status: task.status,
      clientRequestId: task.clientRequestId,
      deduplicated: !created,
    };
  }

  private async announce(task: TaskRecord, manager: EntityManager | undefined): Promise<void> {
    if (manager !== undefined) {
      this.afterCommit.run(manager, () => this.background.track(this.submit(task)));
      return;
    }
    if ((await this.submit(task)) !== 'rejected') return;
    throw new TaskBridgeError('TASK_SUBMISSION_ERROR', `The executor refused task ${task.taskId}`, {
      details: { taskId: task.taskId, clientRequestId: task.clientRequestId },
    });
  }

  private async submit(task: TaskRecord): Promise<HandoffOutcome> {
    this.metrics.count('taskbridge_tasks_created_total', 1, { task_type: task.taskType });
    this.logger.debug({
      message: 'Task created',
      taskId: task.taskId,
      taskType: task.taskType,
      clientRequestId: task.clientRequestId,
    });
    if (this.dispatcher.enabled) return this.dispatcher.submit(task);
    this.wakeUps.publishWork('handoff', task.taskId);
    return 'retry';
  }

  /** A bound attachment is not staged any more, so discarding is safe even when the refusal came after the insert. */
  private async discardUnbound(command: TaskCreateCommand, cause: unknown): Promise<void> {
    try {
      await this.attachments.discard(command.attachments ?? []);
    } catch (error) {
      this.logger.warn({
        message: 'Staged attachments were not discarded; the clean-up will take them',
        reason: messageOf(error),
        cause: messageOf(cause),
        clientRequestId: command.clientRequestId,
      });
    }
  }
}
