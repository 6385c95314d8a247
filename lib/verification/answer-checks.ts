import type { TableNames } from '../stores/table-names.js';
import { RETAINED, type RowCheck } from './row-check.js';

/** Questions, receipts and their events name each other; $2 is how long retention keeps them. */
export function answerChecks(t: TableNames, retainedMs: number): RowCheck[] {
  const receipts = `${t.tasks} t join ${t.receipts} r on r.task_id = t.task_id`;
  const suspensions = `${t.tasks} t join ${t.suspensions} s on s.task_id = t.task_id`;
  const events = `${t.tasks} t join ${t.events} e on e.task_id = t.task_id and e.seq >= t.retained_from_seq`;
  const batch = 't.task_id = any ($1::uuid[])';
  const receiptOfSuspension = `${t.receipts} r where r.task_id = s.task_id and r.suspend_id = s.suspend_id`;
  return [
    {
      code: 'RECEIPT_WITHOUT_EVENT',
      offenders: `
select r.task_id, format('action "%s" at %s', r.client_action_id, r.event_seq) as subject from ${receipts}
where ${batch} and r.event_seq >= t.retained_from_seq and not exists (
  select from ${t.events} e where e.task_id = r.task_id and e.seq = r.event_seq and e.type = 4
    and e.payload ->> 'clientActionId' = r.client_action_id and e.payload ->> 'suspendId' = r.suspend_id)`,
    },
    {
      code: 'ACTION_EVENT_WITHOUT_RECEIPT',
      limitMs: retainedMs,
      offenders: `
select e.task_id, format('event %s, action "%s"', e.seq, e.payload ->> 'clientActionId') as subject from ${events}
where ${batch} and e.type = 4 and ${RETAINED}
  and not exists (select from ${t.receipts} r where r.task_id = e.task_id and r.event_seq = e.seq)`,
    },
    {
      code: 'RECEIPT_WITHOUT_SUSPENSION',
      limitMs: retainedMs,
      offenders: `
select r.task_id, format('action "%s" on "%s"', r.client_action_id, r.suspend_id) as subject from ${receipts}
where ${batch} and ${RETAINED}
  and not exists (select from ${t.suspensions} s where s.task_id = r.task_id and s.suspend_id = r.suspend_id)`,
    },
    {
      code: 'SUSPENSION_WITHOUT_EVENT',
      offenders: `
select s.task_id, format('"%s" at %s', s.suspend_id, s.event_seq) as subject from ${suspensions}
where ${batch} and s.event_seq >= t.retained_from_seq and not exists (
  select from ${t.events} e where e.task_id = s.task_id and e.seq = s.event_seq and e.type = 3
    and e.payload ->> 'suspendId' = s.suspend_id)`,
    },
    {
      code: 'SUSPENDED_EVENT_WITHOUT_SUSPENSION',
      limitMs: retainedMs,
      offenders: `
select e.task_id, format('event %s, "%s"', e.seq, e.payload ->> 'suspendId') as subject from ${events}
where ${batch} and e.type = 3 and ${RETAINED}
  and not exists (select from ${t.suspensions} s where s.task_id = e.task_id and s.event_seq = e.seq)`,
    },
    {
      code: 'SUSPENSION_OPEN_AFTER_END',
      offenders: `
select s.task_id, format('"%s"', s.suspend_id) as subject from ${suspensions}
where ${batch} and t.status >= 2 and s.status = 0`,
    },
    {
      code: 'SUSPENSION_WITHOUT_RECEIPT',
      limitMs: retainedMs,
      // An expiry that failed or cancelled the task has no action.
      offenders: `
select s.task_id, format('"%s", resolved by "%s"', s.suspend_id, s.resolved_by) as subject from ${suspensions}
where ${batch} and (s.status = 1 or (s.status = 2 and s.resolved_by is not null)) and ${RETAINED}
  and not exists (select from ${receiptOfSuspension} and r.client_action_id = s.resolved_by)`,
    },
    {
      code: 'SUSPENSION_STATUS_MISMATCH',
      // Open or closed though it was answered, closed or expired by the end of a task that goes on, or without its time.
      offenders: `
select s.task_id, format('"%s", status %s', s.suspend_id, s.status) as subject from ${suspensions}
where ${batch} and (
  (s.status in (0, 3) and exists (select from ${receiptOfSuspension}))
  or (t.status < 2 and (s.status = 3 or (s.status = 2 and s.resolved_by is null)))
  or (s.status = 0) <> (s.resolved_at is null))`,
    },
  ];
}
