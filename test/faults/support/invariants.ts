/**
 * Questions to the database whose every row is a broken invariant, by what it would mean. Written from the promises,
 * not from the library's own checks, so that the two can disagree.
 */
export const INVARIANTS: Readonly<Record<string, string>> = {
  'numbers of a log are not 1, 2, 3 … up to the task row': `
select t.task_id from taskbridge_tasks t
left join (select task_id, count(*) n, min(seq) lowest, max(seq) highest from taskbridge_events group by 1) e using (task_id)
where coalesce(e.n, 0) <> t.last_seq or e.lowest <> 1 or e.highest <> t.last_seq`,
  'events without a task': `
select distinct e.task_id from taskbridge_events e where not exists (select from taskbridge_tasks t where t.task_id = e.task_id)`,
  'a log has two endings': `
select task_id from taskbridge_events where type >= 5 group by 1 having count(*) > 1`,
  'an event follows the ending': `
select distinct e.task_id from taskbridge_events e join taskbridge_events x using (task_id) where x.type >= 5 and e.seq > x.seq`,
  'the status is not what the log says': `
select t.task_id, t.status, f.status as folded from taskbridge_tasks t join lateral (
  select coalesce(max(e.type) filter (where e.type >= 5) - 3, case when bool_or(e.type = 0) then 1 else 0 end) as status
  from taskbridge_events e where e.task_id = t.task_id) f on true
where t.status <> f.status or (t.status > 1) <> (t.finished_at is not null)`,
  'a task was started twice': `
select task_id from taskbridge_events where type = 0 group by 1 having count(*) > 1`,
  'a fenced attempt has written after its successor': `
select distinct task_id from (
  select task_id, attempt, max(attempt) over (partition by task_id order by seq) as newest
  from taskbridge_events where attempt is not null) e where e.attempt < e.newest`,
  'a report is in the log twice': `
select task_id, attempt, payload->>'message' from taskbridge_events where type in (1, 2) and payload->>'message' like 'step %'
group by 1, 2, 3 having count(*) > 1`,
  'the numbers of an attempt do not grow': `
select distinct task_id from (
  select task_id, append_no, lag(append_no) over (partition by task_id, attempt order by seq) as before
  from taskbridge_events where append_no is not null) e where e.append_no <= e.before`,
  'an ended task is still leased, queued, open or pending': `
select t.task_id from taskbridge_tasks t where t.status > 1 and (t.lease_owner is not null or t.next_run_at is not null
  or t.submission_state = 1 or t.cancel_state = 1
  or exists (select from taskbridge_suspensions s where s.task_id = t.task_id and s.status = 0)
  or exists (select from taskbridge_receipts r where r.task_id = t.task_id and r.resume_state in (1, 2)))`,
  'a receipt without its event, or the reverse': `
select coalesce(r.task_id, e.task_id) from taskbridge_receipts r
full join (select * from taskbridge_events where type = 4) e on e.task_id = r.task_id and e.seq = r.event_seq
  and e.payload->>'clientActionId' = r.client_action_id and e.payload->>'suspendId' = r.suspend_id
where r.task_id is null or e.task_id is null`,
  'a question without its event, or the reverse': `
select coalesce(s.task_id, e.task_id) from taskbridge_suspensions s
full join (select * from taskbridge_events where type = 3) e on e.task_id = s.task_id and e.seq = s.event_seq
  and e.payload->>'suspendId' = s.suspend_id
where s.task_id is null or e.task_id is null`,
  'a settled question without the answer that settled it': `
select s.task_id from taskbridge_suspensions s where s.status in (1, 2) and s.resolved_by is not null
  and not exists (select from taskbridge_receipts r where r.task_id = s.task_id and r.suspend_id = s.suspend_id
    and r.client_action_id = s.resolved_by)`,
};
