import { TaskBridgeError } from '../taskbridge.errors.js';
import { SuspensionStatus, type TaskActionReceipt, type TaskSuspensionRecord } from './records.js';
import type { ActionDecision, ActionSubmission } from './suspension.store.js';

/** What a decision knows of its task, whose row it holds. */
export interface LockedTask {
  isOpen: boolean;
  /** The database's clock once the row was locked, epoch ms. */
  nowMs: number;
}

/** The answer to an action that has a receipt: the same again, or `IDEMPOTENCY_CONFLICT` for another content. */
export function repeated(
  receipt: TaskActionReceipt,
  { requestHash, clientActionId }: ActionSubmission,
): ActionDecision {
  if (receipt.requestHash === requestHash) return { outcome: 'DEDUPLICATED', receipt };
  throw new TaskBridgeError(
    'IDEMPOTENCY_CONFLICT',
    `clientActionId "${clientActionId}" was used for another answer; send a new id for a new answer`,
  );
}

/** Why a suspension takes no answer; past due on the database's clock counts although no sweep has run. */
export function rejectionOf(
  suspension: TaskSuspensionRecord,
  { isOpen, nowMs }: LockedTask,
): 'REJECTED_ALREADY_RESOLVED' | 'REJECTED_EXPIRED' | undefined {
  if (suspension.status === SuspensionStatus.expired) return 'REJECTED_EXPIRED';
  if (suspension.status !== SuspensionStatus.open || !isOpen) return 'REJECTED_ALREADY_RESOLVED';
  return isPastDue(suspension, nowMs) ? 'REJECTED_EXPIRED' : undefined;
}

/** At the very instant of its expiry a suspension is past due. */
export function isPastDue({ expiresAt }: TaskSuspensionRecord, nowMs: number): boolean {
  return expiresAt !== null && expiresAt.getTime() <= nowMs;
}

/** Throws `ACTION_NOT_ALLOWED`. */
export function assertAllowed({ taskId, suspendId, allowedActions }: TaskSuspensionRecord, actionType: string): void {
  if (allowedActions.includes(actionType)) return;
  throw new TaskBridgeError(
    'ACTION_NOT_ALLOWED',
    `Suspension "${suspendId}" of task ${taskId} allows ${allowedActions.join(', ')}, not "${actionType}"`,
    { details: { allowedActions } },
  );
}
