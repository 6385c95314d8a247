import type { EntityManager } from 'typeorm';
import type { StoreOptions } from './event.store.js';
import type { JsonObject, SuspensionRequest, TaskActionReceipt, TaskSuspensionRecord } from './records.js';

export interface OpenSuspensionsCommand {
  taskId: string;
  attempt: number | null;
  requests: readonly SuspensionRequest[];
  /** Number of the first `TASK_SUSPENDED` within the attempt; the others follow. */
  appendNo?: number | undefined;
  /** Makes a repeat of a single request safe; refused with several requests. */
  appendId?: string | undefined;
}

export interface ActionSubmission {
  taskId: string;
  clientActionId: string;
  suspendId: string;
  actionType: string;
  payload: JsonObject | null;
  metadata: JsonObject | null;
  requestHash: string;
  acceptedBy: string | null;
  /** How long the acceptor holds the resume hand-off before others may claim it, in ms. */
  claimMs: number;
  /** Called inside the transaction with the locked suspension; must be pure; throws to refuse the answer. */
  validate?: ((suspension: TaskSuspensionRecord) => void) | undefined;
}

export type ActionOutcome = 'ACCEPTED' | 'DEDUPLICATED' | 'REJECTED_ALREADY_RESOLVED' | 'REJECTED_EXPIRED';

export interface ActionDecision {
  outcome: ActionOutcome;
  /** The receipt of this action (`ACCEPTED`, `DEDUPLICATED`), or of the one that won before it, if any. */
  receipt: TaskActionReceipt | null;
}

export interface PendingResume {
  receipt: TaskActionReceipt;
  suspension: TaskSuspensionRecord;
}

/**
 * Questions put to people and their answers. Contract:
 *
 * - `openSuspensions` writes the rows and their `TASK_SUSPENDED` events in one transaction; refusals as `EventStore`.
 * - `acceptActionIfOpen` writes resolution, receipt, `TASK_ACTION_ACCEPTED` and the pending resume in one transaction.
 *   It checks, under the task's row lock and in this order: receipt (`DEDUPLICATED`, or `IDEMPOTENCY_CONFLICT` for
 *   another content), existence (`SUSPENSION_NOT_FOUND`), state (`REJECTED_…`; past due on the database's clock is
 *   expired, also before a sweep has run), allowed actions (`ACTION_NOT_ALLOWED`), then `validate`. Of concurrent
 *   actions on one suspension exactly one is `ACCEPTED`.
 * - `listPendingResumeHandoffs` claims due resumes as `TaskRegistry.claimHandoffs` does: of each task only the oldest
 *   that is not delivered, so that one task's resumes go out in the order of acceptance.
 * - `expireOpenSuspensions` applies `onExpiry` to due suspensions, each in a transaction of its own, once, on one
 *   instance: fail → `TASK_FAILED` `SUSPENSION_EXPIRED`; cancel → `TASK_CANCELLED`; resume → `TASK_ACTION_ACCEPTED`
 *   with `clientActionId` `expiry:<suspendId>` and a pending resume.
 */
export abstract class SuspensionStore {
  abstract openSuspensions(command: OpenSuspensionsCommand, options?: StoreOptions): Promise<TaskSuspensionRecord[]>;
  abstract getSuspension(
    taskId: string,
    suspendId: string,
    options?: StoreOptions,
  ): Promise<TaskSuspensionRecord | undefined>;
  /** Open ones, oldest first. */
  abstract listOpen(taskId: string, options?: StoreOptions): Promise<TaskSuspensionRecord[]>;
  abstract acceptActionIfOpen(submission: ActionSubmission, options?: StoreOptions): Promise<ActionDecision>;
  abstract listPendingResumeHandoffs(limit: number, claimMs: number): Promise<PendingResume[]>;
  /** The oldest accepted action of a task whose run has not ended yet, delivered or not. */
  abstract nextUnconsumedResume(taskId: string, manager: EntityManager): Promise<PendingResume | undefined>;
  abstract markResumeDispatched(taskId: string, clientActionId: string): Promise<void>;
  abstract markResumeFailed(taskId: string, clientActionId: string, error: string, retryInMs: number): Promise<void>;
  /** The run that took the action has ended; the next one may start. */
  abstract markResumeConsumed(taskId: string, clientActionId: string, manager: EntityManager): Promise<void>;
  /** Number of suspensions that were expired, at most `limit`. */
  abstract expireOpenSuspensions(limit: number): Promise<number>;
}
