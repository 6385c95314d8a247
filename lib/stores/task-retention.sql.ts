import type { TableNames } from './table-names.js';

export interface RetentionSql {
  readonly now: string;
  readonly due: string;
  readonly dueCounted: string;
  readonly deleteTasks: string;
  readonly deleteSuspensions: string;
  readonly countOld: string;
  readonly lockTask: string;
  readonly trimFinished: string;
  readonly trimOpen: string;
  readonly openLogs: string;
  readonly openLogsCounted: string;
}

const AGE = (parameter: string) => `${parameter}::float8 * interval '1 millisecond'`;
const AS_OF = `to_timestamp($1::float8 / 1000)`;

/** Which ages apply to which task types: $2 [{task_type, older_than_ms}], $3 that of all others; null is never reached. */
const POLICY = `
with policy as materialized (
  select p.* from rows from (json_to_recordset($2::json) as (task_type text, older_than_ms float8))
    as p(task_type, older_than_ms)
)`;
const TASK_AGE = 'case when o.task_type is null then $3::float8 else o.older_than_ms end';

/** Whether a task ended so long ago; `age` in ms as SQL. $1 is now in epoch ms. */
function endedBefore(task: string, age: string): string {
  return `coalesce(${task}.finished_at <= ${AS_OF} - ${AGE(age)}, false)`;
}

/** Whether an answer of this task, or the answer to this question, has not reached its executor yet. */
function pendingResume(t: TableNames, task: string, extra = ''): string {
  return `exists (select from ${t.receipts} r where r.task_id = ${task}.task_id and r.resume_state = 1${extra})`;
}

function deletableSuspension(t: TableNames): string {
  return `s.status <> 0 and not ${pendingResume(t, 's', ' and r.suspend_id = s.suspend_id')}`;
}

/** The statements of retention for one set of tables. Pages look at a limited number of rows, due or not. */
export function retentionSql(t: TableNames): RetentionSql {
  return {
    now: `select floor(extract(epoch from clock_timestamp()) * 1000)::bigint`,
    due: duePage(t, false),
    dueCounted: duePage(t, true),
    // Deletes ended tasks of at most $2 events each with all their rows but their files. A pending hand-off keeps its
    // task, and so does a row that somebody holds.
    deleteTasks: `
with doomed as materialized (
  select t.task_id from ${t.tasks} t
  where t.task_id = any ($1::uuid[]) and t.finished_at is not null and t.last_seq - t.retained_from_seq < $2
    and t.submission_state <> 1 and t.cancel_state <> 1 and not ${pendingResume(t, 't')}
  order by t.task_id for update of t skip locked
), suspensions as (
  delete from ${t.suspensions} s where s.task_id = any (array(select d.task_id from doomed d)) returning s.task_id
), receipts as (
  delete from ${t.receipts} r where r.task_id = any (array(select d.task_id from doomed d)) returning r.task_id
), events as (
  delete from ${t.events} e where e.task_id = any (array(select d.task_id from doomed d)) returning e.task_id
), tasks as (
  delete from ${t.tasks} t where t.task_id = any (array(select d.task_id from doomed d)) returning t.task_type
)
select (select count(*) from events), (select count(*) from receipts), (select count(*) from suspensions),
  (select json_object_agg(n.task_type, n.count) from (select task_type, count(*) from tasks group by task_type) n)`,
    // At most $2 settled questions of tasks that ended $1 ms ago, unless their answers are still to be delivered.
    deleteSuspensions: `
with old as materialized (
  select s.task_id, s.suspend_id from ${t.tasks} t join ${t.suspensions} s on s.task_id = t.task_id
  where t.finished_at <= (select clock_timestamp() - ${AGE('$1')}) and ${deletableSuspension(t)}
  limit $2 for update of s skip locked
)
delete from ${t.suspensions} s using old o where s.task_id = o.task_id and s.suspend_id = o.suspend_id`,
    // Receipts and suspensions that go although their tasks stay; $4 and $5 their ages.
    countOld: `${POLICY}
select (
  select count(*) from ${t.receipts} r join ${t.tasks} t on t.task_id = r.task_id
  left join policy o on o.task_type = t.task_type
  where ${endedBefore('t', '$4')} and r.resume_state <> 1 and not ${doomed(t, 't')}
), (
  select count(*) from ${t.suspensions} s join ${t.tasks} t on t.task_id = s.task_id
  left join policy o on o.task_type = t.task_type
  where ${endedBefore('t', '$5')} and ${deletableSuspension(t)} and not ${doomed(t, 't')}
)`,
    // A statement of its own, so that the snapshot of the next one holds everything that was committed before the lock.
    lockTask: `select 1 from ${t.tasks} t where t.task_id = $1 for no key update of t skip locked`,
    // At most $3 of the oldest events, never one of the newest $2.
    trimFinished: trim(
      t,
      `select ${TRIM_WINDOW} as new_from from ${t.tasks} t where t.task_id = $1 and t.finished_at is not null`,
    ),
    // The same for a task that goes on: only events older than $5 at $4, and none from its oldest open question on.
    trimOpen: trim(
      t,
      `select least(${TRIM_WINDOW},
    (select min(s.event_seq) from ${t.suspensions} s where s.task_id = t.task_id and s.status = 0),
    (select min(e.seq) from ${t.events} e
      where e.task_id = t.task_id and e.seq >= t.retained_from_seq and e.seq < ${TRIM_WINDOW}
        and e.created_at > to_timestamp($4::float8 / 1000) - ${AGE('$5')})) as new_from
  from ${t.tasks} t where t.task_id = $1 and t.finished_at is null`,
    ),
    openLogs: openPage(t, false),
    openLogsCounted: openPage(t, true),
  };
}

/** Where one step of trimming stops. */
const TRIM_WINDOW = `least(t.retained_from_seq + $3::bigint, t.last_seq - $2::bigint + 1)`;

/** Takes the events below `new_from` and moves the start of the log with them; the task is locked before. */
function trim(t: TableNames, target: string): string {
  return `
with target as materialized (
  ${target}
), gone as (
  delete from ${t.events} e using target g where e.task_id = $1 and e.seq < g.new_from returning e.seq
), moved as (
  update ${t.tasks} t set retained_from_seq = g.new_from from target g
  where t.task_id = $1 and g.new_from > t.retained_from_seq
)
select count(*) from gone`;
}

/** Whether a task is to be deleted; `o` is the policy of its type. */
function doomed(t: TableNames, task: string): string {
  return `(${endedBefore(task, TASK_AGE)} and ${task}.submission_state <> 1 and ${task}.cancel_state <> 1
    and not ${pendingResume(t, task)})`;
}

/**
 * A page of ended tasks, oldest first, and which of them are due for what. $4 age of logs to trim, $5 events to keep,
 * $6 the least age of anything, $7 and $8 the last row of the page before (epoch µs, id), $9 rows to look at. Counted,
 * it finds how many receipts and suspensions go with each. The last row of the page comes back in any case.
 */
function duePage(t: TableNames, isCounted: boolean): string {
  const counts = isCounted
    ? `case when j.doomed then (select count(*) from ${t.receipts} r where r.task_id = j.task_id) else 0 end,
  case when j.doomed then (select count(*) from ${t.suspensions} s where s.task_id = j.task_id) else 0 end`
    : '0, 0';
  return `${POLICY}, page as materialized (
  select t.task_id, t.task_type, t.finished_at, t.last_seq - t.retained_from_seq + 1 as stored, t.submission_state,
    t.cancel_state
  from ${t.tasks} t
  where t.finished_at <= ${AS_OF} - ${AGE('$6')}
    and (t.finished_at, t.task_id) > (timestamptz 'epoch' + $7::float8 * interval '1 microsecond', $8::uuid)
  order by t.finished_at, t.task_id limit $9
), judged as materialized (
  select p.*, ${doomed(t, 'p')} as doomed, ${endedBefore('p', '$4')} and p.stored > $5::bigint as long,
    row_number() over (order by p.finished_at desc, p.task_id desc) = 1 as is_last
  from page p left join policy o on o.task_type = p.task_type
)
select j.task_id, j.task_type, (extract(epoch from j.finished_at) * 1000000)::bigint, j.doomed, j.stored,
  j.long and not j.doomed, ${counts}
from judged j where j.is_last or j.doomed or j.long
order by j.finished_at, j.task_id`;
}

/**
 * A page of tasks by id, and which open ones have a log to trim. $1 now in epoch ms, $2 age of events, $3 events to
 * keep, $4 the last id of the page before, $5 rows to look at. Counted, it finds how many events each would lose.
 */
function openPage(t: TableNames, isCounted: boolean): string {
  const old = `${AS_OF} - ${AGE('$2')}`;
  const excess = isCounted
    ? `greatest(0, least(p.last_seq - $3::bigint + 1,
    (select min(s.event_seq) from ${t.suspensions} s where s.task_id = p.task_id and s.status = 0),
    (select e.seq from ${t.events} e where e.task_id = p.task_id and e.created_at > ${old} order by e.seq limit 1))
    - p.retained_from_seq)`
    : '0';
  return `
with page as materialized (
  select t.task_id, t.last_seq, t.retained_from_seq,
    t.finished_at is null and t.last_seq - t.retained_from_seq + 1 > $3::bigint as is_long
  from ${t.tasks} t where t.task_id > $4::uuid order by t.task_id limit $5
), judged as materialized (
  select p.*, row_number() over (order by p.task_id desc) = 1 as is_last,
    p.is_long and exists (select from ${t.events} e
      where e.task_id = p.task_id and e.seq = p.retained_from_seq and e.created_at <= ${old}) as is_due
  from page p
)
select p.task_id, p.is_last, p.is_due, case when p.is_due then ${excess} else 0 end
from judged p where p.is_last or p.is_due order by p.task_id`;
}
