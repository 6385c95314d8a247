import type { TableNames } from '../stores/table-names.js';
import { type RowCheck, utcText } from './row-check.js';

/** Submissions, resumes and cancellations reach their executor, or end with their task. */
export function handoffChecks(t: TableNames, pendingOlderThanMs: number): RowCheck[] {
  // Every hand-off that is not done, in one shape.
  const pending = `(
  select t.task_id, t.status, 'submission' as kind, t.created_at as since, t.submission_attempts as tries,
    t.submission_next_try_at as next_try_at, t.submission_last_error as last_error, t.submission_state as state
  from ${t.tasks} t where t.task_id = any ($1::uuid[]) and t.submission_state = 1
  union all
  select t.task_id, t.status, 'cancellation', t.cancel_requested_at, t.cancel_attempts, t.cancel_next_try_at,
    t.cancel_last_error, t.cancel_state
  from ${t.tasks} t where t.task_id = any ($1::uuid[]) and t.cancel_state = 1
  union all
  select t.task_id, t.status, format('resume of "%s"', r.client_action_id), r.accepted_at, r.resume_attempts,
    r.resume_next_try_at, r.resume_last_error, r.resume_state
  from ${t.tasks} t join ${t.receipts} r on r.task_id = t.task_id
  where t.task_id = any ($1::uuid[]) and r.resume_state in (1, 2)
)`;
  return [
    {
      code: 'HANDOFF_PENDING_AFTER_END',
      offenders: `select h.task_id, h.kind as subject from ${pending} h where h.status >= 2`,
    },
    {
      code: 'HANDOFF_UNSCHEDULED',
      offenders: `select h.task_id, h.kind as subject from ${pending} h
where h.status < 2 and h.state = 1 and h.next_try_at is null`,
    },
    {
      code: 'HANDOFF_OVERDUE',
      limitMs: pendingOlderThanMs,
      offenders: `
select h.task_id, format('%s, since %s, %s tries, last error: %s', h.kind,
  ${utcText('h.since')}, h.tries, coalesce(h.last_error, 'none')) as subject
from ${pending} h where h.status < 2 and h.state = 1 and h.since < now() - $2::float8 * interval '1 millisecond'`,
    },
  ];
}
