import { Inject, Injectable, Logger } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { WakeUps } from '../streams/wake-ups.js';
import { messageOf, TaskBridgeError, taskNotFound, validationError } from '../taskbridge.errors.js';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { ActionReceiptStore } from './action-receipt.store.js';
import { AfterCommit } from './after-commit.js';
import { AnswerSchemas } from './answer-schemas.js';
import { EventStore, type StoreOptions } from './event.store.js';
import { type RawRow, rawRows } from './raw-query.js';
import { HandoffState, SuspensionStatus, type TaskActionReceipt, type TaskSuspensionRecord } from './records.js';
import { AFTER_RECEIPT_COLUMNS, receiptOf, suspensionOf } from './resume-row.js';
import { assertAllowed, isPastDue, type LockedTask, rejectionOf, repeated } from './suspension-decision.js';
import {
  checkSuspensionRequests,
  type CheckedRequest,
  expiryOf,
  questionJson,
  suspendedEvent,
} from './suspension-request.js';
import { type SuspensionSql, suspensionSql } from './suspension.sql.js';
import {
  type ActionDecision,
  type ActionSubmission,
  type OpenSuspensionsCommand,
  type PendingResume,
  SuspensionStore,
} from './suspension.store.js';
import { SetAside } from './set-aside.js';
import { tableNames } from './table-names.js';
import { inTransaction, withTaskRow } from './transactions.js';

/** Actions of this prefix are the library's own: an answer in a person's stead. */
const EXPIRY_PREFIX = 'expiry:';
/** Nobody can repeat an expiry with another content. */
const EXPIRY_HASH = 'expiry';
const MAX_ERROR_LENGTH = 2_000;

/** An action that has won and is about to be written. */
type Acceptance = Omit<ActionSubmission, 'validate'> & { status: SuspensionStatus; nowMs: number };

/** Questions and answers in Postgres. Everything about one task happens under its row's lock. */
@Injectable()
export class TypeOrmSuspensionStore extends SuspensionStore {
  private readonly logger = new Logger(TypeOrmSuspensionStore.name);
  private readonly sql: SuspensionSql;

  /** Tasks whose question failed to expire: left out for a while, so that they do not stand before the others. */
  private readonly unexpirable = new SetAside();

  constructor(
    @Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource,
    private readonly events: EventStore,
    private readonly receipts: ActionReceiptStore,
    private readonly schemas: AnswerSchemas,
    private readonly afterCommit: AfterCommit,
    private readonly wakeUps: WakeUps,
  ) {
    super();
    this.sql = suspensionSql(tableNames(dataSource));
  }

  async openSuspensions(command: OpenSuspensionsCommand, options: StoreOptions = {}): Promise<TaskSuspensionRecord[]> {
    const requests = checkSuspensionRequests(command.requests, this.schemas);
    if (requests.length > 1 && command.appendId !== undefined) {
      throw validationError([{ field: 'appendId', message: 'fits one request only; number the appends instead' }]);
    }
    const row = { taskId: command.taskId, manager: options.manager };
    return withTaskRow(this.dataSource, row, (manager) => this.open(command, requests, manager));
  }

  async getSuspension(
    taskId: string,
    suspendId: string,
    options: StoreOptions = {},
  ): Promise<TaskSuspensionRecord | undefined> {
    if (!isUuid(taskId)) return undefined;
    const [row] = await rawRows(options.manager ?? this.dataSource, this.sql.get, [taskId, suspendId]);
    return row === undefined ? undefined : suspensionOf(row);
  }

  async listOpen(taskId: string, options: StoreOptions = {}): Promise<TaskSuspensionRecord[]> {
    if (!isUuid(taskId)) return [];
    const rows = await rawRows(options.manager ?? this.dataSource, this.sql.listOpen, [taskId]);
    return rows.map((row) => suspensionOf(row));
  }

  async acceptActionIfOpen(submission: ActionSubmission, options: StoreOptions = {}): Promise<ActionDecision> {
    if (submission.clientActionId.startsWith(EXPIRY_PREFIX)) {
      throw validationError([{ field: 'clientActionId', message: `must not start with "${EXPIRY_PREFIX}"` }]);
    }
    const row = { taskId: submission.taskId, manager: options.manager };
    return withTaskRow(this.dataSource, row, (manager) => this.decide(submission, manager));
  }

  async listPendingResumeHandoffs(limit: number, claimMs: number): Promise<PendingResume[]> {
    return (await rawRows(this.dataSource, this.sql.claim, [limit, claimMs])).map(pendingOf);
  }

  async nextUnconsumedResume(taskId: string, manager: EntityManager): Promise<PendingResume | undefined> {
    const [row] = await rawRows(manager, this.sql.nextUnconsumed, [taskId]);
    return row === undefined ? undefined : pendingOf(row);
  }

  async markResumeDispatched(taskId: string, clientActionId: string): Promise<void> {
    await rawRows(this.dataSource, this.sql.dispatched, [taskId, clientActionId]);
  }

  async markResumeFailed(taskId: string, clientActionId: string, error: string, retryInMs: number): Promise<void> {
    const text = error.slice(0, MAX_ERROR_LENGTH);
    await rawRows(this.dataSource, this.sql.failed, [taskId, clientActionId, text, retryInMs]);
  }

  async markResumeConsumed(taskId: string, clientActionId: string, manager: EntityManager): Promise<void> {
    await rawRows(manager, this.sql.consumed, [taskId, clientActionId]);
  }

  /** One that fails is logged and left for the next sweep; it does not keep the others. */
  async expireOpenSuspensions(limit: number): Promise<number> {
    let expired = 0;
    const due = await rawRows(this.dataSource, this.sql.due, [limit, this.unexpirable.now()]);
    for (const [taskId, suspendId] of due) {
      try {
        if (await this.expireOne(String(taskId), String(suspendId))) expired += 1;
      } catch (error) {
        this.unexpirable.add(String(taskId));
        this.logger.error({
          message: 'A suspension could not be expired',
          taskId,
          suspendId,
          reason: messageOf(error),
        });
      }
    }
    return expired;
  }

  private async open(
    command: OpenSuspensionsCommand,
    requests: readonly CheckedRequest[],
    manager: EntityManager,
  ): Promise<TaskSuspensionRecord[]> {
    const { taskId } = command;
    const { nowMs } = await this.lockTask(taskId, manager);
    const questions = requests.map((request) => ({ ...request, expiresAt: expiryOf(request, nowMs) }));
    const seqs: number[] = [];
    let isRepeat = false;
    for (const [index, question] of questions.entries()) {
      const result = await this.events.append(suspendedEvent(command, question, index), { manager });
      seqs.push(result.seq);
      isRepeat ||= result.deduplicated;
    }
    if (isRepeat) return (await rawRows(manager, this.sql.bySeqs, [taskId, seqs])).map((row) => suspensionOf(row));
    await this.assertUnused(taskId, questions, manager);
    const columns = questions.map((question, index) => questionJson(question, seqs[index] ?? 0, nowMs));
    const rows = await rawRows(manager, this.sql.insert, [taskId, `[${columns.join(',')}]`]);
    return rows.map((row) => suspensionOf(row)).toSorted((a, b) => a.eventSeq - b.eventSeq);
  }

  private async assertUnused(
    taskId: string,
    questions: readonly CheckedRequest[],
    manager: EntityManager,
  ): Promise<void> {
    const ids = questions.map(({ suspendId }) => suspendId);
    const [used] = await rawRows(manager, this.sql.used, [taskId, ids]);
    if (used === undefined) return;
    throw validationError([{ field: 'suspendId', message: `"${String(used[0])}" was used by this task before` }]);
  }

  private async decide(submission: ActionSubmission, manager: EntityManager): Promise<ActionDecision> {
    const { taskId, clientActionId, suspendId, actionType, validate } = submission;
    const task = await this.lockTask(taskId, manager);
    const known = await this.receipts.getReceipt(taskId, clientActionId, { manager });
    if (known !== undefined) return repeated(known, submission);
    const suspension = await this.getSuspension(taskId, suspendId, { manager });
    if (suspension === undefined) {
      throw new TaskBridgeError('SUSPENSION_NOT_FOUND', `Task ${taskId} has no suspension "${suspendId}"`);
    }
    const rejection = rejectionOf(suspension, task);
    if (rejection !== undefined) return { outcome: rejection, receipt: await this.winnerOf(suspension, manager) };
    assertAllowed(suspension, actionType);
    validate?.(suspension);
    const receipt = await this.accept({ ...submission, status: SuspensionStatus.resolved, nowMs: task.nowMs }, manager);
    return { outcome: 'ACCEPTED', receipt };
  }

  /** Event, resolution and receipt; the caller holds the task's row and has checked that the suspension is open. */
  private async accept(acceptance: Acceptance, manager: EntityManager): Promise<TaskActionReceipt> {
    const { taskId, suspendId, clientActionId, actionType, status, nowMs, claimMs, ...rest } = acceptance;
    const acceptedAt = new Date(nowMs);
    const payload = { suspendId, clientActionId, actionType, acceptedAt: acceptedAt.toISOString() };
    const { seq } = await this.events.append(
      { taskId, type: 'TASK_ACTION_ACCEPTED', attempt: null, payload },
      { manager },
    );
    await rawRows(manager, this.sql.settle, [taskId, suspendId, status, nowMs, clientActionId]);
    const receipt: TaskActionReceipt = {
      taskId,
      clientActionId,
      suspendId,
      actionType,
      payload: rest.payload,
      metadata: rest.metadata,
      requestHash: rest.requestHash,
      eventSeq: seq,
      acceptedBy: rest.acceptedBy,
      acceptedAt,
      resume: {
        state: HandoffState.pending,
        attempts: claimMs > 0 ? 1 : 0,
        nextTryAt: new Date(nowMs + claimMs),
        lastError: null,
      },
    };
    if (await this.receipts.saveReceipt(receipt, { manager })) return receipt;
    throw new TaskBridgeError(
      'IDEMPOTENCY_CONFLICT',
      `Suspension "${suspendId}" of task ${taskId} has a receipt already`,
    );
  }

  /** False when somebody else holds the task or has settled the suspension meanwhile. */
  private expireOne(taskId: string, suspendId: string): Promise<boolean> {
    return inTransaction(this.dataSource, undefined, async (manager) => {
      const [row] = await rawRows(manager, this.sql.lockTaskIfFree, [taskId]);
      const suspension = row && (await this.getSuspension(taskId, suspendId, { manager }));
      if (suspension === undefined) return false;
      const { isOpen, nowMs } = lockedTaskOf(row);
      if (!isOpen || suspension.status !== SuspensionStatus.open || !isPastDue(suspension, nowMs)) return false;
      await this.applyExpiry(suspension, nowMs, manager);
      return true;
    });
  }

  private async applyExpiry(suspension: TaskSuspensionRecord, nowMs: number, manager: EntityManager): Promise<void> {
    const { taskId, suspendId, onExpiry, reasonCode } = suspension;
    const status = SuspensionStatus.expired;
    if (typeof onExpiry === 'object') {
      await this.accept(
        {
          taskId,
          suspendId,
          clientActionId: `${EXPIRY_PREFIX}${suspendId}`,
          actionType: onExpiry.resume,
          payload: onExpiry.payload ?? null,
          metadata: null,
          requestHash: EXPIRY_HASH,
          acceptedBy: null,
          claimMs: 0,
          status,
          nowMs,
        },
        manager,
      );
      this.afterCommit.run(manager, () => this.wakeUps.publishWork('handoff', taskId));
      return;
    }
    await rawRows(manager, this.sql.settle, [taskId, suspendId, status, nowMs, null]);
    if (onExpiry === 'cancel') {
      const payload = { reason: 'suspension_expired' };
      await this.events.append({ taskId, type: 'TASK_CANCELLED', attempt: null, payload }, { manager });
      return;
    }
    const message = `Nobody answered the question "${reasonCode}" in time`;
    const payload = { code: 'SUSPENSION_EXPIRED', message, retryable: false };
    await this.events.append({ taskId, type: 'TASK_FAILED', attempt: null, payload }, { manager });
  }

  private async lockTask(taskId: string, manager: EntityManager): Promise<LockedTask> {
    const [row] = isUuid(taskId) ? await rawRows(manager, this.sql.lockTask, [taskId]) : [];
    if (row === undefined) throw taskNotFound(taskId);
    return lockedTaskOf(row);
  }

  private async winnerOf(suspension: TaskSuspensionRecord, manager: EntityManager): Promise<TaskActionReceipt | null> {
    const [row] = await rawRows(manager, this.sql.winner, [suspension.taskId, suspension.suspendId]);
    return row === undefined ? null : receiptOf(row);
  }
}

function lockedTaskOf([isOpen, nowMs]: RawRow): LockedTask {
  return { isOpen: isOpen === true, nowMs: Number(nowMs) };
}

function pendingOf(row: RawRow): PendingResume {
  return { receipt: receiptOf(row), suspension: suspensionOf(row, AFTER_RECEIPT_COLUMNS) };
}
