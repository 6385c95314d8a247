import { Injectable, Logger } from '@nestjs/common';
import { AnswerSchemas } from '../stores/answer-schemas.js';
import { type ActionDecision, SuspensionStore } from '../stores/suspension.store.js';
import type { TaskSuspensionRecord } from '../stores/records.js';
import { WakeUps } from '../streams/wake-ups.js';
import { BackgroundWork } from './background-work.js';
import { checkActionCommand } from './command-checks.js';
import type { SubmitActionCommand, SubmitActionResult } from './commands.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';
import { hashOfAction } from './request-hash.js';

/** Takes people's answers to suspensions and hands them to the executor. */
@Injectable()
export class TaskActionService {
  private readonly logger = new Logger(TaskActionService.name);

  constructor(
    private readonly suspensions: SuspensionStore,
    private readonly schemas: AnswerSchemas,
    private readonly dispatcher: HandoffDispatcher,
    private readonly background: BackgroundWork,
    private readonly wakeUps: WakeUps,
  ) {}

  /**
   * Idempotent by `clientActionId`; one answer per suspension wins, decided by the database. Resolves when the answer is
   * durable, before it has reached the executor. Rejects with `SUSPENSION_NOT_FOUND`, `ACTION_NOT_ALLOWED`,
   * `IDEMPOTENCY_CONFLICT`, and `REQUEST_VALIDATION_ERROR` for a payload that its action's schema refuses.
   */
  async submitAction(command: SubmitActionCommand): Promise<SubmitActionResult> {
    checkActionCommand(command);
    const { taskId, clientActionId, suspendId, actionType } = command;
    const payload = command.payload ?? null;
    const decision = await this.suspensions.acceptActionIfOpen({
      taskId,
      clientActionId,
      suspendId,
      actionType,
      payload,
      metadata: command.metadata ?? null,
      requestHash: hashOfAction({ suspendId, actionType, payload }),
      acceptedBy: command.acceptedBy,
      claimMs: this.dispatcher.claimMs,
      validate: (suspension) => this.schemas.assertAnswer(suspension, actionType, payload),
    });
    if (decision.outcome === 'ACCEPTED') await this.handOver(command, decision);
    return { taskId, suspendId, clientActionId, status: decision.outcome };
  }

  private async handOver(
    { taskId, suspendId, clientActionId }: SubmitActionCommand,
    decision: ActionDecision,
  ): Promise<void> {
    this.logger.debug({ message: 'Action accepted', taskId, suspendId, clientActionId });
    if (!this.dispatcher.enabled) return this.wakeUps.publishWork('handoff', taskId);
    const suspension: TaskSuspensionRecord | undefined = await this.suspensions.getSuspension(taskId, suspendId);
    if (decision.receipt === null || suspension === undefined) return;
    this.background.track(this.dispatcher.resume({ receipt: decision.receipt, suspension }));
  }
}
