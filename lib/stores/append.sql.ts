import type { TableNames } from './table-names.js';

/**
 * What became of one append. `STALE`: the row changed between the statement's snapshot and its lock, so that a repeat
 * or a leftover could be invisible; nothing was written, send it again. `TASK_BUSY`: the row is locked by somebody.
 */
export type AppendOutcome =
  | 'APPENDED'
  | 'DUPLICATE'
  | 'STALE'
  | 'TASK_BUSY'
  | 'TASK_NOT_FOUND'
  | 'TASK_ALREADY_TERMINAL'
  | 'ATTEMPT_SUPERSEDED'
  | 'INVALID_TASK_STATE';

/** Whether the statement waits for locked rows (up to the session's `lock_timeout`) or reports their tasks as busy. */
export type AppendMode = 'wait' | 'skip';

/**
 * Appends a whole flush: $1 is a JSON array of {task_id, type, attempt, append_no, append_id, payload}, in
 * order, absent members are null.
 * Returns per element: its position from 1, seq, outcome and creation time in epoch ms. One refused append changes
 * nothing for the others. Codes: types 0 STARTED … 5 COMPLETED, 6 FAILED, 7 CANCELLED; status 0 ACCEPTED, 1 RUNNING,
 * 2–4 ended. Every append by anybody moves `last_seq`, which is why comparing it tells whether the snapshot is stale.
 */
export function appendStatement(t: TableNames, mode: AppendMode): string {
  return `
with input as materialized (
  select e.* from rows from (json_to_recordset($1::json)
      as (task_id uuid, type smallint, attempt int, append_no int, append_id uuid, payload json))
    with ordinality as e(task_id, type, attempt, append_no, append_id, payload, n)
), locked as materialized (        -- one lock order for every writer
  select t.task_id, t.status, t.attempt, t.append_no, t.last_seq
  from ${t.tasks} t where t.task_id = any (array(select i.task_id from input i))
  order by t.task_id for no key update of t ${mode === 'skip' ? 'skip locked' : ''}
), probed as materialized (        -- materialized: otherwise the probes are inlined several times
  select i.*, l.task_id is not null as found, l.status, l.attempt as row_attempt, l.last_seq,
    coalesce(i.append_no <= l.append_no and i.attempt = l.attempt, false) as spent,
    coalesce(
      case when ${MAY_REPEAT} then (select e.seq from ${t.events} e
        where e.task_id = i.task_id and e.attempt = i.attempt and e.append_no = i.append_no
        order by e.seq desc limit 1) end,
      case when i.append_id is not null then (select e.seq from ${t.events} e
        where e.task_id = i.task_id and e.append_id = i.append_id) end) as known_seq,
    case when i.type >= 5 or i.append_id is not null or ${MAY_REPEAT}
      then (select s.last_seq from ${t.tasks} s where s.task_id = i.task_id) is distinct from l.last_seq
      else false end as stale
  from input i left join locked l on l.task_id = i.task_id
), judged as (
  select p.*, case
      when p.known_seq is not null then 'DUPLICATE'
      when not p.found then ${mode === 'skip' ? busyOrUnknown(t) : `'TASK_NOT_FOUND'`}
      when p.stale then 'STALE'
      when p.status > 1 then 'TASK_ALREADY_TERMINAL'
      when p.attempt <> p.row_attempt then 'ATTEMPT_SUPERSEDED'
      when p.spent then 'INVALID_TASK_STATE' end as refusal
  from probed p
), staged as (                     -- legal, given what precedes it in this flush
  select j.*, coalesce(bool_or(j.refusal = 'STALE') over before, false) as blocked,
    j.refusal is null and case
      when j.type in (2, 6, 7) then true
      else (j.type <> 0) = (j.status = 1 or coalesce(bool_or(j.type = 0 and j.refusal is null) over before, false))
    end as legal
  from judged j window before as (partition by j.task_id order by j.n
    rows between unbounded preceding and 1 preceding)
), decided as (                    -- nothing follows the first legal ending
  select s.*, s.legal and not s.blocked
      and not coalesce(bool_or(s.legal and s.type >= 5) over before, false) as accepted
  from staged s window before as (partition by s.task_id order by s.n
    rows between unbounded preceding and 1 preceding)
), clock as materialized (         -- one time for the flush, read once the rows are locked
  select date_trunc('milliseconds', clock_timestamp()) as at
), placed as materialized (
  select d.*, d.last_seq + count(*) filter (where d.accepted) over (partition by d.task_id order by d.n) as seq
  from decided d
), grouped as materialized (
  select p.task_id, max(p.seq) as last_seq, max(p.append_no) as append_no,
    bool_or(p.type = 0) as started, max(p.type) filter (where p.type >= 5) as ended
  from placed p where p.accepted group by p.task_id
), moved as (
  update ${t.tasks} t set
    last_seq = g.last_seq,
    append_no = greatest(t.append_no, g.append_no),
    status = coalesce(g.ended - 3, case when g.started then 1 else t.status end),
    started_at = case when g.started then (select c.at from clock c) else t.started_at end,
    finished_at = case when g.ended is not null then (select c.at from clock c) else t.finished_at end,
    lease_owner = case when g.ended is null then t.lease_owner end,
    next_run_at = case when g.ended is null then t.next_run_at end,
    submission_state = case when g.ended is not null and t.submission_state = 1 then 4 else t.submission_state end,
    submission_next_try_at = case when g.ended is null then t.submission_next_try_at end,
    cancel_next_try_at = case when g.ended is null then t.cancel_next_try_at end,
    cancel_state = case when g.ended is not null and t.cancel_state = 1 then 4 else t.cancel_state end
  from grouped g
  where t.task_id = g.task_id
    and t.task_id = any (array(select i.task_id from input i))   -- pins an index plan
), closed_suspensions as (
  update ${t.suspensions} s set status = 3, resolved_at = clock_timestamp()
  where (select bool_or(g.ended is not null) from grouped g)     -- most flushes end nothing and look no further
    and s.status = 0 and s.task_id = any (array(select g.task_id from grouped g where g.ended is not null))
), closed_receipts as (
  update ${t.receipts} r set resume_state = 4, resume_next_try_at = null
  where (select bool_or(g.ended is not null) from grouped g)
    and r.resume_state in (1, 2) and r.task_id = any (array(select g.task_id from grouped g where g.ended is not null))
), written as (
  insert into ${t.events} (task_id, seq, type, attempt, append_no, append_id, created_at, payload)
  select p.task_id, p.seq, p.type, p.attempt, p.append_no, p.append_id, (select c.at from clock c), p.payload
  from placed p where p.accepted
)
select p.n::int,
  case when p.accepted then p.seq else p.known_seq end,
  case when p.accepted then 'APPENDED' when p.known_seq is not null then 'DUPLICATE' when p.blocked then 'STALE'
    else coalesce(p.refusal, case when p.legal then 'TASK_ALREADY_TERMINAL' else 'INVALID_TASK_STATE' end) end,
  (date_part('epoch', case when p.known_seq is null then (select c.at from clock c)
    else (select e.created_at from ${t.events} e where e.task_id = p.task_id and e.seq = p.known_seq) end) * 1000)::bigint
from placed p`;
}

/**
 * The same for a flush of nothing but plain appends: progress or messages, numbered, without an id. Most flushes are, and
 * this takes half the time, because such an append needs no look at the log: in a running task, in its attempt, with a
 * number above the row's last one it is legal and new. Elements of which that is not true are left out of the answer, and
 * are not written; none of them can become legal by what is written here, so `appendStatement` may judge them afterwards.
 */
export function plainAppendStatement(t: TableNames): string {
  return `
with input as materialized (
  select e.* from rows from (json_to_recordset($1::json)
      as (task_id uuid, type smallint, attempt int, append_no int, payload json))
    with ordinality as e(task_id, type, attempt, append_no, payload, n)
), locked as materialized (        -- one lock order for every writer
  select t.task_id, t.attempt, t.append_no, t.last_seq
  from ${t.tasks} t where t.task_id = any (array(select i.task_id from input i)) and t.status = 1
  order by t.task_id for no key update of t
), placed as materialized (
  select i.*, l.last_seq + row_number() over (partition by i.task_id order by i.n) as seq
  from input i join locked l on l.task_id = i.task_id and l.attempt = i.attempt and i.append_no > l.append_no
), clock as materialized (         -- one time for the flush, read once the rows are locked
  select date_trunc('milliseconds', clock_timestamp()) as at from placed p limit 1
), moved as (
  update ${t.tasks} t set last_seq = g.last_seq, append_no = g.append_no
  from (select p.task_id, max(p.seq) as last_seq, max(p.append_no) as append_no from placed p group by p.task_id) g
  where t.task_id = g.task_id
    and t.task_id = any (array(select i.task_id from input i))   -- pins an index plan
), written as (
  insert into ${t.events} (task_id, seq, type, attempt, append_no, created_at, payload)
  select p.task_id, p.seq, p.type, p.attempt, p.append_no, (select c.at from clock c), p.payload from placed p
)
select p.n::int, p.seq, 'APPENDED', (date_part('epoch', (select c.at from clock c)) * 1000)::bigint from placed p`;
}

/**
 * The same for one plain append, as most are while little happens: $1 task id, $2 attempt, $3 append number, $4 type,
 * $5 payload.
 */
export function singleAppendStatement(t: TableNames): string {
  return `
with moved as (
  update ${t.tasks} t set last_seq = t.last_seq + 1, append_no = $3::int
  where t.task_id = $1::uuid and t.status = 1 and t.attempt = $2::int and t.append_no < $3::int
  returning t.last_seq as seq, date_trunc('milliseconds', clock_timestamp()) as at
), written as (
  insert into ${t.events} (task_id, seq, type, attempt, append_no, created_at, payload)
  select $1::uuid, m.seq, $4::smallint, $2::int, $3::int, m.at, $5::json from moved m
)
select 1, m.seq, 'APPENDED', (date_part('epoch', m.at) * 1000)::bigint from moved m`;
}

/** An append with this number could have been applied before: by an earlier attempt, or up to the row's last number. */
const MAY_REPEAT = `(i.append_no is not null
        and (i.attempt < l.attempt or (i.attempt = l.attempt and i.append_no <= l.append_no)))`;

/** With `skip locked` a busy row looks like none; a plain read tells them apart. */
function busyOrUnknown(t: TableNames): string {
  return `case when exists (select 1 from ${t.tasks} b where b.task_id = p.task_id)
        then 'TASK_BUSY' else 'TASK_NOT_FOUND' end`;
}

/** Takes the locks of an append beforehand, so that the append's own snapshot cannot be stale; $1 task ids. */
export function lockTasksStatement(t: TableNames): string {
  return `select 1 from ${t.tasks} t where t.task_id = any ($1::uuid[]) order by t.task_id for no key update of t`;
}

/** Those of the tasks in $1 that an append would not wait for: nobody holds their row, or there is none. */
export function freeTasksStatement(t: TableNames): string {
  return `
with free as materialized (
  select t.task_id from ${t.tasks} t where t.task_id = any ($1::uuid[])
  order by t.task_id for no key update of t skip locked
)
select i.task_id from unnest($1::uuid[]) as i(task_id)
where exists (select 1 from free f where f.task_id = i.task_id)
  or not exists (select 1 from ${t.tasks} b where b.task_id = i.task_id)`;
}
