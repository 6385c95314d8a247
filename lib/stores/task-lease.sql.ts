import { WITHIN_ONE_TRY } from './row-turns.js';
import type { TableNames } from './table-names.js';
import { TASK_COLUMNS } from './task-row.js';

/** What is to become of an interrupted run; in the answer of `reclaim` it follows `TASK_COLUMNS`. */
export type ReclaimVerdict = 'retry' | 'fail' | 'cancel';

export interface LeaseSql {
  readonly beginAttempt: string;
  readonly grantFirst: string;
  readonly enqueue: string;
  readonly enqueueResume: string;
  readonly claim: string;
  readonly lockHeld: string;
  readonly suspend: string;
  readonly handBack: string;
  readonly handBackFree: string;
  readonly handBackAll: string;
  readonly countHeld: string;
  readonly heartbeat: string;
  readonly removeProcess: string;
  readonly removeDeadProcesses: string;
  readonly listLost: string;
  readonly reclaim: string;
  readonly cancelOverdue: string;
}

/**
 * The statements about leases for one set of tables. What keeps them on the indexes however long the queue is: a clock
 * that is read once, and ids compared with an array, because the number of rows of a subquery is guessed far too high.
 */
export function leaseSql(t: TableNames): LeaseSql {
  const nextAttempt = 'attempt = t.attempt + 1, append_no = 0';
  const deadline = `deadline_at = coalesce(t.deadline_at, t.created_at + $2::float8 * interval '1 millisecond')`;
  const inTime = '(t.deadline_at is null or t.deadline_at > clock_timestamp())';
  const untouched = `t.task_id = $1 and t.status = 0 and t.attempt = 0 and t.lease_owner is null
  and t.next_run_at is null and t.cancel_requested_at is null and ${WITHIN_ONE_TRY}`;
  const policy = `policy as materialized (
  select p.* from rows from (json_to_recordset($1::json)
    as (task_type text, on_interrupted text, max_attempts integer, backoff_ms float8))
    as p(task_type, on_interrupted, max_attempts, backoff_ms)
)`;
  const isLost = `t.lease_owner is not null and t.status < 2
    and t.task_type = any (array(select p.task_type from policy p))
    and not exists (
      select from ${t.processes} p where p.process_id = t.lease_owner and p.expires_at > clock_timestamp())`;
  return {
    // Opens the next attempt of a task that is run by an executor without leases.
    beginAttempt: `update ${t.tasks} t set ${nextAttempt} where t.task_id = $1 and t.status < 2
  and ${WITHIN_ONE_TRY} returning t.attempt`,
    // Leases a task that nobody has had yet, unless its deadline has passed; a repeat finds it taken. $2 ms of deadline for a task without one.
    grantFirst: `
update ${t.tasks} t set lease_owner = $3, ${deadline}, ${nextAttempt} where ${untouched} and ${inTime}
returning ${TASK_COLUMNS}`,
    // Puts a task that nobody has had yet into the queue; a repeat finds it there. $2 as above.
    enqueue: `
update ${t.tasks} t set next_run_at = clock_timestamp(), ${deadline} where ${untouched} returning t.task_id`,
    // Queues a task that waits for an answer; one that is running takes the answer when it waits again.
    enqueueResume: `
update ${t.tasks} t set next_run_at = clock_timestamp()
where t.task_id = $1 and t.status = 1 and t.lease_owner is null and t.suspended_at is not null and t.next_run_at is null
  and ${WITHIN_ONE_TRY}
returning t.task_id`,
    // Leases due tasks that have not reached their deadline, of each type at most as many as there are slots. $2 is [{task_type, count}].
    claim: `
with slots as materialized (
  select s.* from rows from (json_to_recordset($2::json) as (task_type text, count integer)) as s(task_type, count)
), due as materialized (
  select d.task_id from slots s cross join lateral (
    select t.task_id from ${t.tasks} t
    where t.task_type = s.task_type and t.next_run_at <= (select clock_timestamp())
      and t.lease_owner is null and t.status < 2 and ${inTime}
    order by t.next_run_at limit s.count for no key update of t skip locked) d
)
update ${t.tasks} t set lease_owner = $1, next_run_at = null, ${nextAttempt}
where t.task_id = any (array(select d.task_id from due d)) returning ${TASK_COLUMNS}`,
    // Locks a task for the run that still holds it.
    lockHeld: `
select ${TASK_COLUMNS} from ${t.tasks} t
where t.task_id = $1 and t.lease_owner = $2 and t.attempt = $3 and t.status < 2 for no key update of t`,
    // Ends a run that waits for an answer; $2 when one is there already.
    suspend: `
update ${t.tasks} t set lease_owner = null, suspended_at = clock_timestamp(),
  next_run_at = case when $2::boolean then clock_timestamp() end
where t.task_id = $1`,
    // Gives one lease back and fences its attempt. $4 ms until the task may run again.
    handBack: `
update ${t.tasks} t set lease_owner = null, next_run_at = ${inMs('$4')}, ${nextAttempt}
where t.task_id = $1 and t.lease_owner = $2 and t.attempt = $3 and t.status < 2 and ${WITHIN_ONE_TRY}
returning t.task_id`,
    // Gives back those of the leases $2 of attempts $3 whose row nobody holds at the moment.
    handBackFree: `
with free as materialized (
  select t.task_id from unnest($2::uuid[], $3::integer[]) as l(task_id, attempt)
    join ${t.tasks} t on t.task_id = l.task_id and t.attempt = l.attempt
  where t.lease_owner = $1 and t.status < 2 order by t.task_id for no key update of t skip locked
)
update ${t.tasks} t set lease_owner = null, next_run_at = clock_timestamp(), ${nextAttempt}
where t.task_id = any (array(select f.task_id from free f)) returning t.task_id`,
    // Gives back every lease of a process whose row nobody holds at the moment.
    handBackAll: `
with held as materialized (
  select t.task_id from ${t.tasks} t where t.lease_owner = $1 and t.status < 2
  order by t.task_id for no key update of t skip locked
)
update ${t.tasks} t set lease_owner = null, next_run_at = clock_timestamp(), ${nextAttempt}
where t.task_id = any (array(select h.task_id from held h)) returning t.task_id`,
    countHeld: `select count(*) from ${t.tasks} t where t.lease_owner = $1`,
    // Renews the leases of a process, by its one row, and lists them with the tasks $5 that it believes to hold. $4 ms.
    heartbeat: `
with beat as (
  insert into ${t.processes} as p (process_id, host, pid, started_at, expires_at)
  values ($1, $2, $3, clock_timestamp(), ${inMs('$4')})
  on conflict (process_id) do update set expires_at = excluded.expires_at
)
select t.task_id, t.attempt, coalesce(t.lease_owner = $1, false), t.cancel_requested_at is not null,
  coalesce(t.deadline_at <= clock_timestamp(), false)
from ${t.tasks} t where t.lease_owner = $1 or t.task_id = any ($5::uuid[])`,
    removeProcess: `delete from ${t.processes} p where p.process_id = $1`,
    // Forgets processes that are long dead and hold nothing any more.
    removeDeadProcesses: `
delete from ${t.processes} p where p.process_id = any (array(
  select d.process_id from ${t.processes} d where d.expires_at < clock_timestamp() - interval '1 hour'
    and not exists (select from ${t.tasks} t where t.lease_owner = d.process_id)
  for update of d skip locked))`,
    // Tasks whose process is dead and whose row nobody holds, without $3. $1 as in reclaim.
    listLost: `
with ${policy}
select t.task_id from ${t.tasks} t where ${isLost} and t.task_id <> all ($3::uuid[])
order by t.task_id limit $2 for no key update of t skip locked`,
    // Takes the leases of dead processes away, fences their runs, counts the failure and says what is to follow.
    // $1 is [{task_type, on_interrupted, max_attempts, backoff_ms}], $2 the tasks. With $3 only what is to be retried.
    reclaim: `
with ${policy}, lost as materialized (
  select t.task_id, t.task_type, t.retries, t.cancel_requested_at from ${t.tasks} t
  where t.task_id = any ($2::uuid[]) and ${isLost} order by t.task_id for no key update of t skip locked
), judged as materialized (
  select l.task_id, least(p.backoff_ms * power(2, l.retries), 3600000) as pause_ms,
    case when l.cancel_requested_at is not null then 'cancel'
      when p.on_interrupted = 'fail' or l.retries + 1 >= p.max_attempts then 'fail' else 'retry' end as verdict
  from lost l join policy p on p.task_type = l.task_type
)
update ${t.tasks} t set lease_owner = null, retries = t.retries + 1, ${nextAttempt},
  next_run_at = case when j.verdict = 'retry' then ${inMs('j.pause_ms')} end
from judged j where t.task_id = j.task_id and t.task_id = any (array(select a.task_id from judged a))
  and (j.verdict = 'retry' or not $3::boolean)
returning ${TASK_COLUMNS}, j.verdict`,
    // Cancelled tasks whose run has had its grace, $1 ms, and goes on; without $3 and rows that somebody holds.
    cancelOverdue: `
select ${TASK_COLUMNS} from ${t.tasks} t
where t.lease_owner is not null and t.status < 2 and t.task_id <> all ($3::uuid[])
  and t.cancel_requested_at <= (select clock_timestamp()) - $1::float8 * interval '1 millisecond'
order by t.cancel_requested_at limit $2 for no key update of t skip locked`,
  };
}

function inMs(parameter: string): string {
  return `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`;
}
