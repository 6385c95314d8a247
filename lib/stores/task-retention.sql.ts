import type { TableNames } from './table-names.js';

export interface RetentionSql {
  readonly now: string;
  readonly due: string;
  readonly dueCounted: string;
  readonly deleteTasks: string;
  readonly deleteSuspensions: string;
  readonly lockTask: string;
  readonly trimFinished: string;
  readonly trimOpen: string;
  readonly openLogs: string;
  readonly openLogsCounted: string;
}

const AGE = (parameter: string) => `${parameter}::float8 * interval '1 millisecond'`;
const AS_OF = `to_timestamp($1::float8 / 1000)`;

/**
 * The statements of retention for one set of tables. A page looks at a limited number of rows, whether or not any of
 * them is due, so that no statement grows with the table.
 */
export function retentionSql(t: TableNames): RetentionSql {
  const pendingResume = (task: string, extra = '') =>
    `exists (select from ${t.receipts} r where r.task_id = ${task}.task_id and r.resume_state = 1${extra})`;
  const deletableSuspension = `s.status <> 0 and not ${pendingResume('s', ' and r.suspend_id = s.suspend_id')}`;
  // Takes the events below new_from and moves the start of the log; `target` holds the task, locked before.
  const trim = `
, gone as (
  delete from ${t.events} e using target g where e.task_id = $1 and e.seq < g.new_from returning e.seq
), moved as (
  update ${t.tasks} t set retained_from_seq = g.new_from from target g
  where t.task_id = $1 and g.new_from > t.retained_from_seq
)
select count(*) from gone`;
  const window = `least(t.retained_from_seq + $3::bigint, t.last_seq - $2::bigint + 1)`;
  return {
    now: `select floor(extract(epoch from clock_timestamp()) * 1000)::bigint`,
    due: duePage(t, pendingResume, deletableSuspension, false),
    dueCounted: duePage(t, pendingResume, deletableSuspension, true),
    // Deletes ended tasks of at most $2 events each with all their rows but their files. A pending hand-off keeps its
    // task, and so does a row that somebody holds.
    deleteTasks: `
with doomed as materialized (
  select t.task_id from ${t.tasks} t
  where t.task_id = any ($1::uuid[]) and t.finished_at is not null and t.last_seq - t.retained_from_seq < $2
    and t.submission_state <> 1 and t.cancel_state <> 1 and not ${pendingResume('t')}
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
    // At most $2 questions of ended tasks whose answers have been delivered.
    deleteSuspensions: `
with doomed as materialized (
  select s.task_id, s.suspend_id from ${t.suspensions} s
  where s.task_id = any ($1::uuid[]) and ${deletableSuspension}
  order by s.task_id, s.suspend_id limit $2 for update of s skip locked
)
delete from ${t.suspensions} s using doomed d where s.task_id = d.task_id and s.suspend_id = d.suspend_id`,
    // A statement of its own, so that the snapshot of the next one holds everything the lock has waited for.
    lockTask: `select 1 from ${t.tasks} t where t.task_id = $1 for no key update of t skip locked`,
    // At most $3 of the oldest events, never one of the newest $2.
    trimFinished: `
with target as materialized (
  select ${window} as new_from from ${t.tasks} t where t.task_id = $1 and t.finished_at is not null
)${trim}`,
    // The same for a task that goes on: only events older than $5 at $4, and none from its oldest open question on.
    trimOpen: `
with target as materialized (
  select least(${window},
    (select min(s.event_seq) from ${t.suspensions} s where s.task_id = t.task_id and s.status = 0),
    (select min(e.seq) from ${t.events} e
      where e.task_id = t.task_id and e.seq >= t.retained_from_seq and e.seq < ${window}
        and e.created_at > to_timestamp($4::float8 / 1000) - ${AGE('$5')})) as new_from
  from ${t.tasks} t where t.task_id = $1 and t.finished_at is null
)${trim}`,
    openLogs: openPage(t, false),
    openLogsCounted: openPage(t, true),
  };
}

/**
 * A page of ended tasks, oldest first, and which of them are due for what. $1 now in epoch ms, $2 the least age of
 * anything, $3 and $4 the last row of the page before (epoch µs, id), $5 rows to look at, $6 [{task_type,
 * older_than_ms}], $7 age of other types, $8 of suspensions, $9 of trimmed logs, $10 events to keep; a
 * null age is never reached. Counted, it finds how many receipts ($11) and suspensions would go. The last row of the
 * page comes back in any case.
 */
function duePage(
  t: TableNames,
  pendingResume: (task: string) => string,
  deletableSuspension: string,
  isCounted: boolean,
): string {
  const reached = (task: string, age: string) => `coalesce(${task}.finished_at <= ${AS_OF} - ${AGE(age)}, false)`;
  const counts = isCounted
    ? `(select count(*) from ${t.receipts} r
    where r.task_id = j.task_id and (j.doomed or (${reached('j', '$11')} and r.resume_state <> 1))),
  (select count(*) from ${t.suspensions} s
    where s.task_id = j.task_id and (j.doomed or (j.questions and ${deletableSuspension})))`
    : '0, 0';
  return `
with policy as materialized (
  select p.* from rows from (json_to_recordset($6::json) as (task_type text, older_than_ms float8))
    as p(task_type, older_than_ms)
), page as materialized (
  select t.task_id, t.task_type, t.finished_at, t.last_seq - t.retained_from_seq + 1 as stored,
    t.submission_state = 1 or t.cancel_state = 1 as is_pending
  from ${t.tasks} t
  where t.finished_at <= ${AS_OF} - ${AGE('$2')}
    and (t.finished_at, t.task_id) > (timestamptz 'epoch' + $3::float8 * interval '1 microsecond', $4::uuid)
  order by t.finished_at, t.task_id limit $5
), aged as materialized (
  select p.*, ${reached('p', 'case when o.task_type is null then $7::float8 else o.older_than_ms end')} and not p.is_pending
      and not ${pendingResume('p')} as doomed,
    ${reached('p', '$8')} as questions, ${reached('p', '$9')} and p.stored > $10::bigint as long,
    row_number() over (order by p.finished_at desc, p.task_id desc) = 1 as is_last
  from page p left join policy o on o.task_type = p.task_type
), judged as materialized (
  select a.*, a.questions and not a.doomed
      and exists (select from ${t.suspensions} s where s.task_id = a.task_id and ${deletableSuspension}) as has_questions
  from aged a
)
select j.task_id, j.task_type, (extract(epoch from j.finished_at) * 1000000)::bigint, j.is_last, j.doomed, j.stored,
  j.has_questions, j.long and not j.doomed, ${counts}
from judged j
where j.is_last or j.doomed or j.has_questions or j.long ${isCounted ? `or ${reached('j', '$11')}` : ''}
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
