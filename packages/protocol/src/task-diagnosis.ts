import type { SuspensionKind } from './events.js';
import type { TaskStatus } from './tasks.js';

/** Every kind of thing that a task can wait for. Readers show the `message` of those they do not know. */
export const DIAGNOSIS_KINDS = [
  'ENDED',
  'DEADLINE',
  'CANCELLATION_HANDOFF',
  'CANCELLATION',
  'SUBMISSION_HANDOFF',
  'RESUME_HANDOFF',
  'RUN',
  'LEASE_EXPIRED',
  'QUEUE',
  'QUESTION',
  'EXECUTOR',
  'STRANDED',
] as const;

/** One of {@link DIAGNOSIS_KINDS}. */
export type DiagnosisKind = (typeof DIAGNOSIS_KINDS)[number];

/** What every reason says. */
export interface DiagnosisReasonOf<K extends DiagnosisKind> {
  kind: K;
  /** One sentence for people; its wording may change. */
  message: string;
  /** Since when it is so; `null` where that is not known. */
  since: string | null;
}

/** Something that is handed to the executor, however often that takes. */
export interface HandoffReason<K extends DiagnosisKind> extends DiagnosisReasonOf<K> {
  /** Tries so far, one that is under way included. */
  attempts: number;
  /** What the latest failed try said, shortened; `null` before the first failure. */
  lastError: string | null;
  nextTryAt: string | null;
}

/** The task waits for nothing any more. */
export type EndedReason = DiagnosisReasonOf<'ENDED'>;

/** A cancellation that the executor has been told of and has not acted on yet. */
export interface CancellationReason extends DiagnosisReasonOf<'CANCELLATION'> {
  /** What whoever cancelled gave as the reason. */
  reason: string;
}

/** An accepted answer that the executor has not been told of yet. */
export interface ResumeHandoffReason extends HandoffReason<'RESUME_HANDOFF'> {
  clientActionId: string;
  suspendId: string;
}

/** A run is in progress. `since` is its first event; `null` before that. */
export interface RunReason extends DiagnosisReasonOf<'RUN'> {
  attempt: number;
  /** Name of the instance that runs it. */
  host: string;
  leaseExpiresAt: string;
  /** When the newest event was logged, by whatever attempt; `null` while the log is empty. */
  lastEventAt: string | null;
}

/** The process of the run has not renewed its lease: another one takes the task over. `since` is when the lease ended. */
export interface LeaseExpiredReason extends DiagnosisReasonOf<'LEASE_EXPIRED'> {
  attempt: number;
  /** `null` when nothing is known of the process any more. */
  host: string | null;
}

/** The task waits for a free slot, or, with `dueAt` in the future, for the pause before its next run. */
export interface QueueReason extends DiagnosisReasonOf<'QUEUE'> {
  dueAt: string;
}

/** A question that nobody has answered. */
export interface QuestionReason extends DiagnosisReasonOf<'QUESTION'> {
  suspendId: string;
  /** Who is expected to answer. */
  suspensionKind: SuspensionKind;
  reasonCode: string;
  allowedActions: string[];
  /** `null`: it never expires. */
  expiresAt: string | null;
  /** What happens then: the task fails, is cancelled, or resumes with a default action; `null` where it never expires. */
  onExpiry: 'fail' | 'cancel' | 'resume' | null;
}

/** An executor outside of this library has the task. `since` is the first event of the attempt; `null` before that. */
export interface ExecutorReason extends DiagnosisReasonOf<'EXECUTOR'> {
  attempt: number;
  lastEventAt: string | null;
}

/** Something a task waits for. */
export type DiagnosisReason =
  | EndedReason
  | DiagnosisReasonOf<'DEADLINE'>
  | HandoffReason<'CANCELLATION_HANDOFF'>
  | CancellationReason
  | HandoffReason<'SUBMISSION_HANDOFF'>
  | ResumeHandoffReason
  | RunReason
  | LeaseExpiredReason
  | QueueReason
  | QuestionReason
  | ExecutorReason
  | DiagnosisReasonOf<'STRANDED'>;

/** Why a task does not go on, all of one instant. All times are RFC 3339 in UTC, on the database's clock. */
export interface TaskDiagnosis {
  taskId: string;
  status: TaskStatus;
  /** The instant. */
  checkedAt: string;
  /** `null` while the log is empty. */
  lastEventId: string | null;
  /** When the task fails at the latest; `null` without a deadline. */
  deadlineAt: string | null;
  /** At least one, in the order of {@link DIAGNOSIS_KINDS}: what decides soonest comes first. */
  reasons: DiagnosisReason[];
}
