import {
  DIAGNOSIS_KINDS,
  type DiagnosisKind,
  type DiagnosisReason,
  type HandoffReason,
  isTerminalStatus,
  type LeaseExpiredReason,
  type RunReason,
} from '@taskbridge/protocol';
import {
  type HandoffRecord,
  HandoffState,
  type OnExpiry,
  type TaskActionReceipt,
  type TaskRecord,
  type TaskSuspensionRecord,
} from '../stores/records.js';
import type { TaskRunView } from '../stores/task-run.store.js';
import { shownError } from './shown-error.js';

/** These do not say where the task itself is. */
const LEAVES_OPEN: ReadonlySet<DiagnosisKind> = new Set(['CANCELLATION', 'CANCELLATION_HANDOFF', 'DEADLINE']);

/** A task and what belongs to it, all of one instant. */
export interface DiagnosedTask {
  readonly task: TaskRecord;
  readonly run: TaskRunView;
  readonly openSuspensions: readonly TaskSuspensionRecord[];
  readonly receipts: readonly TaskActionReceipt[];
}

/** What the task waits for, at least one reason, in the order of `DIAGNOSIS_KINDS`. */
export function diagnosisReasons(facts: DiagnosedTask): DiagnosisReason[] {
  const { task, openSuspensions } = facts;
  if (isTerminalStatus(task.status)) {
    const message = `The task waits for nothing: it has ended as ${task.status}.`;
    return [{ kind: 'ENDED', message, since: text(task.finishedAt) }];
  }
  const reasons = [
    ...cancellationReasons(facts),
    ...submissionReasons(facts),
    ...resumeReasons(facts),
    ...deadlineReasons(facts),
    ...executionReasons(facts),
    ...openSuspensions.map(questionReason),
  ];
  if (reasons.every(({ kind }) => LEAVES_OPEN.has(kind))) {
    reasons.push(task.suspendedAt === null ? executorReason(facts) : strandedReason(task));
  }
  return reasons.toSorted((a, b) => DIAGNOSIS_KINDS.indexOf(a.kind) - DIAGNOSIS_KINDS.indexOf(b.kind));
}

function cancellationReasons({ task, run }: DiagnosedTask): DiagnosisReason[] {
  const { cancelRequestedAt, cancelReason, cancellation } = task;
  if (cancelRequestedAt === null) return [];
  if (cancellation.state === HandoffState.pending) {
    return [handoff('CANCELLATION_HANDOFF', 'The cancellation', cancellation, cancelRequestedAt, run.now)];
  }
  const since = cancelRequestedAt.toISOString();
  const message = `The task was cancelled at ${since} and ends when its run has stopped.`;
  return [{ kind: 'CANCELLATION', message, since, reason: cancelReason ?? '' }];
}

function submissionReasons({ task: { submission, createdAt }, run }: DiagnosedTask): DiagnosisReason[] {
  if (submission.state !== HandoffState.pending) return [];
  return [handoff('SUBMISSION_HANDOFF', 'The task', submission, createdAt, run.now)];
}

function resumeReasons({ receipts, run }: DiagnosedTask): DiagnosisReason[] {
  const pending = receipts.filter(({ resume }) => resume.state === HandoffState.pending);
  return pending.map(({ resume, acceptedAt, clientActionId, suspendId, actionType }) => ({
    ...handoff('RESUME_HANDOFF', `The answer "${actionType}" to "${suspendId}"`, resume, acceptedAt, run.now),
    clientActionId,
    suspendId,
  }));
}

function handoff<K extends 'CANCELLATION_HANDOFF' | 'SUBMISSION_HANDOFF' | 'RESUME_HANDOFF'>(
  kind: K,
  what: string,
  { attempts, lastError, nextTryAt }: HandoffRecord,
  since: Date,
  now: Date,
): HandoffReason<K> {
  const shown = shownError(lastError);
  const next = nextTryAt === null ? 'no next try is due' : tryText(nextTryAt, now);
  const failed = shown === null ? '' : ` The latest try failed: ${shown}`;
  const message = `${what} has not reached its executor yet (tries: ${attempts}); ${next}.${failed}`;
  return { kind, message, since: since.toISOString(), attempts, lastError: shown, nextTryAt: text(nextTryAt) };
}

function tryText(nextTryAt: Date, now: Date): string {
  const at = nextTryAt.toISOString();
  return nextTryAt > now
    ? `the next try is due at ${at}`
    : `a try is due since ${at}, for any process with an executor`;
}

/** Only one that has passed: before that the task waits for something else. */
function deadlineReasons({ task: { deadlineAt }, run }: DiagnosedTask): DiagnosisReason[] {
  if (deadlineAt === null || deadlineAt > run.now) return [];
  const since = deadlineAt.toISOString();
  const message = `The deadline of the task passed at ${since}; the next check fails it.`;
  return [{ kind: 'DEADLINE', message, since }];
}

function executionReasons({ task, run }: DiagnosedTask): DiagnosisReason[] {
  if (task.leaseOwner !== null) return [leaseReason(task, run)];
  return task.nextRunAt === null ? [] : [queueReason(task, task.nextRunAt, run.now)];
}

function leaseReason({ attempt }: TaskRecord, run: TaskRunView): RunReason | LeaseExpiredReason {
  const { host, leaseExpiresAt, now, firstEventAt, lastEventAt } = run;
  if (host === null || leaseExpiresAt === null || leaseExpiresAt <= now) {
    const where = host === null ? 'a process that is gone' : `${host}, which has not renewed its lease`;
    const message = `Attempt ${attempt} ran in ${where}; another process takes the task over.`;
    return { kind: 'LEASE_EXPIRED', message, since: text(leaseExpiresAt), attempt, host };
  }
  const reported = firstEventAt === null ? 'has reported nothing yet' : `reports since ${firstEventAt.toISOString()}`;
  const message = `Attempt ${attempt} runs on ${host} and ${reported}.`;
  return {
    kind: 'RUN',
    message,
    since: text(firstEventAt),
    attempt,
    host,
    leaseExpiresAt: leaseExpiresAt.toISOString(),
    lastEventAt: text(lastEventAt),
  };
}

function queueReason({ taskType, retries }: TaskRecord, due: Date, now: Date): DiagnosisReason {
  const dueAt = due.toISOString();
  if (due <= now) {
    const message = `The task waits since ${dueAt} for a free slot of a process that runs "${taskType}".`;
    return { kind: 'QUEUE', message, since: dueAt, dueAt };
  }
  const message = `The task runs again at ${dueAt} (interrupted runs: ${retries}).`;
  return { kind: 'QUEUE', message, since: null, dueAt };
}

function questionReason(suspension: TaskSuspensionRecord): DiagnosisReason {
  const { suspendId, kind: suspensionKind, reasonCode, allowedActions, expiresAt, createdAt } = suspension;
  const since = createdAt.toISOString();
  const onExpiry = expiresAt === null ? null : expiryWord(suspension.onExpiry);
  const until = expiresAt === null ? 'it never expires' : `it expires at ${expiresAt.toISOString()} (${onExpiry})`;
  const message = `The question "${reasonCode}" waits since ${since} for one of ${allowedActions.join(', ')}; ${until}.`;
  return {
    kind: 'QUESTION',
    message,
    since,
    suspendId,
    suspensionKind,
    reasonCode,
    allowedActions,
    expiresAt: text(expiresAt),
    onExpiry,
  };
}

function expiryWord(onExpiry: OnExpiry): 'fail' | 'cancel' | 'resume' {
  return typeof onExpiry === 'string' ? onExpiry : 'resume';
}

function executorReason({ task, run }: DiagnosedTask): DiagnosisReason {
  const { attempt } = task;
  const { firstEventAt, lastEventAt } = run;
  const latest = lastEventAt === null ? 'has reported nothing yet' : `last reported at ${lastEventAt.toISOString()}`;
  const message = `The task's executor has it and ${latest}.`;
  return { kind: 'EXECUTOR', message, since: text(firstEventAt), attempt, lastEventAt: text(lastEventAt) };
}

function strandedReason({ suspendedAt }: TaskRecord): DiagnosisReason {
  const message = 'The task waits for an answer, but no question is open and no accepted answer is on its way.';
  return { kind: 'STRANDED', message, since: text(suspendedAt) };
}

function text(time: Date | null): string | null {
  return time === null ? null : time.toISOString();
}
