/** What `verifyTaskBridge` can find, each with what it means. Codes are stable: new ones go where they belong. */
export const FINDING_CODES = {
  SEQ_HOLE: 'An event between the first retained one and the last is missing.',
  LAST_SEQ_MISMATCH: 'The task counts another number of events than its log ends with.',
  TWO_TERMINALS: 'The log holds more than one terminal event.',
  EVENT_AFTER_TERMINAL: 'An event follows the terminal event.',
  STARTED_TWICE: 'The log holds more than one TASK_STARTED.',
  EVENT_BEFORE_START: 'An event that needs a running task precedes TASK_STARTED, or there is no TASK_STARTED.',
  STATUS_MISMATCH: 'The status is not what the log adds up to.',
  STARTED_AT_MISMATCH: 'started_at is not the time of TASK_STARTED.',
  FINISHED_AT_MISMATCH: 'finished_at is not the time of the terminal event.',
  ATTEMPT_AHEAD: 'An event names an attempt that the task has not had yet.',
  ATTEMPT_SUPERSEDED: 'An attempt has logged an event after a later attempt had.',
  APPEND_NO_BEHIND:
    'The log knows a higher append number of the running attempt than the task: repeats would be applied.',
  APPEND_NO_REPEATED: 'Two events of one attempt have the same number: an append was applied twice.',
  RECEIPT_WITHOUT_EVENT: 'A receipt has no TASK_ACTION_ACCEPTED event of its action.',
  ACTION_EVENT_WITHOUT_RECEIPT: 'A TASK_ACTION_ACCEPTED event has no receipt.',
  RECEIPT_WITHOUT_SUSPENSION: 'A receipt answers a suspension that does not exist.',
  SUSPENSION_WITHOUT_EVENT: 'A suspension has no TASK_SUSPENDED event of its own.',
  SUSPENDED_EVENT_WITHOUT_SUSPENSION: 'A TASK_SUSPENDED event has no suspension.',
  SUSPENSION_OPEN_AFTER_END: 'A suspension of a task that has ended is open.',
  SUSPENSION_WITHOUT_RECEIPT: 'A suspension was resolved by an action that has no receipt.',
  SUSPENSION_STATUS_MISMATCH: 'The status of a suspension disagrees with its receipt, its times or its task.',
  HANDOFF_PENDING_AFTER_END: 'A submission, resume or cancellation of a task that has ended is still to be handed off.',
  HANDOFF_UNSCHEDULED: 'A pending hand-off has no next try, so that nobody will ever make it.',
  HANDOFF_OVERDUE: 'A submission, resume or cancellation has been pending for too long.',
  DEADLINE_OVERDUE: 'A task goes on long after its deadline.',
  EXPIRY_OVERDUE: 'A suspension is open long after it expired.',
  LEASE_AFTER_END: 'A task that has ended is leased or queued for a run.',
  LEASED_AND_QUEUED: 'A task is leased and queued for a run at once.',
  LEASE_EXPIRED: 'A task is leased by a process that is gone or has not renewed its leases for too long.',
  QUEUE_OVERDUE: 'A task has been due for a run for too long.',
  TASK_STRANDED: 'A task waits for an answer, but no question is open and no accepted answer is to be handed off.',
  ATTACHMENT_MISMATCH: 'The stored bytes of an attachment are not as many as it says, or not without gaps.',
  ORPHAN_EVENTS: 'Events belong to a task that does not exist.',
  ORPHAN_SUSPENSIONS: 'Suspensions belong to a task that does not exist.',
  ORPHAN_RECEIPTS: 'Receipts belong to a task that does not exist.',
  ORPHAN_ATTACHMENTS: 'Attachments belong to a task that does not exist.',
  ORPHAN_CHUNKS: 'Stored bytes belong to an attachment that does not exist.',
} as const;

/** One of {@link FINDING_CODES}. */
export type FindingCode = keyof typeof FINDING_CODES;

/** One broken invariant of one task. */
export interface Finding {
  code: FindingCode;
  /** `null` where no task can be named, as for bytes without an attachment. */
  taskId: string | null;
  /** Where it is broken, and how often where several rows are alike. */
  detail: string;
}
