import type { TableNames } from '../stores/table-names.js';
import { type RowCheck, utcText } from './row-check.js';
import type { VerificationLimits } from './verification-options.js';

/** Ages count from the start of the snapshot; $2 ms. */
const TOO_OLD = `now() - $2::float8 * interval '1 millisecond'`;

/** Runs have a live process, and what is due has been done. */
export function runChecks(t: TableNames, { pendingOlderThanMs, leaseGraceMs }: VerificationLimits): RowCheck[] {
  const batch = 't.task_id = any ($1::uuid[])';
  return [
    {
      code: 'DEADLINE_OVERDUE',
      limitMs: pendingOlderThanMs,
      offenders: `select t.task_id, format('deadline %s', ${utcText('t.deadline_at')}) as subject from ${t.tasks} t
where ${batch} and t.status < 2 and t.deadline_at < ${TOO_OLD}`,
    },
    {
      code: 'EXPIRY_OVERDUE',
      limitMs: pendingOlderThanMs,
      offenders: `
select t.task_id, format('"%s", expired %s', s.suspend_id, ${utcText('s.expires_at')}) as subject
from ${t.tasks} t join ${t.suspensions} s on s.task_id = t.task_id
where ${batch} and t.status < 2 and s.status = 0 and s.expires_at < ${TOO_OLD}`,
    },
    {
      code: 'LEASE_AFTER_END',
      offenders: `select t.task_id, coalesce('leased by ' || t.lease_owner, 'queued') as subject from ${t.tasks} t
where ${batch} and t.status >= 2 and (t.lease_owner is not null or t.next_run_at is not null)`,
    },
    {
      code: 'LEASED_AND_QUEUED',
      offenders: `select t.task_id, format('leased by %s, due %s', t.lease_owner, ${utcText('t.next_run_at')}) as subject
from ${t.tasks} t where ${batch} and t.status < 2 and t.lease_owner is not null and t.next_run_at is not null`,
    },
    {
      code: 'LEASE_EXPIRED',
      limitMs: leaseGraceMs,
      offenders: `
select t.task_id, format('process %s (%s, pid %s), expired %s', p.process_id, p.host, p.pid, ${utcText('p.expires_at')}) as subject
from ${t.tasks} t join ${t.processes} p on p.process_id = t.lease_owner
where ${batch} and t.status < 2 and p.expires_at < ${TOO_OLD}`,
    },
    {
      code: 'QUEUE_OVERDUE',
      limitMs: pendingOlderThanMs,
      offenders: `select t.task_id, format('since %s', ${utcText('t.next_run_at')}) as subject from ${t.tasks} t
where ${batch} and t.status < 2 and t.lease_owner is null and t.next_run_at < ${TOO_OLD}`,
    },
    {
      code: 'TASK_STRANDED',
      // Only tasks of the library's own executor: it alone sets suspended_at.
      offenders: `
select t.task_id, format('attempt %s, since %s', t.attempt, ${utcText('t.suspended_at')}) as subject from ${t.tasks} t
where ${batch} and t.status = 1 and t.suspended_at is not null and t.lease_owner is null and t.next_run_at is null
  and not exists (select from ${t.suspensions} s where s.task_id = t.task_id and s.status = 0)
  and not exists (select from ${t.receipts} r where r.task_id = t.task_id and r.resume_state = 1)`,
    },
  ];
}
