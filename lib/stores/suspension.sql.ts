import { epochMs } from './raw-query.js';
import { RECEIPT_COLUMNS, SUSPENSION_COLUMNS } from './resume-row.js';
import type { TableNames } from './table-names.js';

export interface SuspensionSql {
  readonly lockTask: string;
  readonly lockTaskIfFree: string;
  readonly insert: string;
  readonly get: string;
  readonly bySeqs: string;
  readonly used: string;
  readonly listOpen: string;
  readonly winner: string;
  readonly settle: string;
  readonly claim: string;
  readonly nextUnconsumed: string;
  readonly dispatched: string;
  readonly failed: string;
  readonly consumed: string;
  readonly due: string;
}

const MS = `interval '1 millisecond'`;

/** The statements on questions and the hand-off of their answers. */
export function suspensionSql(t: TableNames): SuspensionSql {
  // Whether the task is open, and what time it is once the lock is there.
  const lockTask = `
with task as materialized (select t.status from ${t.tasks} t where t.task_id = $1 for no key update of t)
select task.status < 2, ${epochMs('clock_timestamp()')} from task`;
  const withSuspension = `join ${t.suspensions} s on s.task_id = r.task_id and s.suspend_id = r.suspend_id`;
  const setReceipt = `where r.task_id = $1 and r.client_action_id = $2`;
  return {
    lockTask,
    lockTaskIfFree: lockTask.replace('update of t', 'update of t skip locked'),
    // Writes questions; $2 a JSON array of their columns, times in epoch ms.
    insert: `
insert into ${t.suspensions} as s (task_id, suspend_id, event_seq, kind, reason_code, allowed_actions, schema_version,
  expires_at, on_expiry, ui_hints, interaction, action_schemas, state, created_at)
select $1, q.suspend_id, q.event_seq, q.kind, q.reason_code, q.allowed_actions, q.schema_version,
  to_timestamp(q.expires_ms / 1000), q.on_expiry, q.ui_hints, q.interaction, q.action_schemas, q.state,
  to_timestamp(q.created_ms / 1000)
from json_to_recordset($2::json) as q(suspend_id text, event_seq bigint, kind text, reason_code text,
  allowed_actions json, schema_version int, expires_ms float8, on_expiry json, ui_hints json, interaction json,
  action_schemas json, state json, created_ms float8)
returning ${SUSPENSION_COLUMNS}`,
    get: `select ${SUSPENSION_COLUMNS} from ${t.suspensions} s where s.task_id = $1 and s.suspend_id = $2`,
    // Questions by the numbers of their events.
    bySeqs: `select ${SUSPENSION_COLUMNS} from ${t.suspensions} s
where s.task_id = $1 and s.event_seq = any ($2::bigint[]) order by s.event_seq`,
    // Which of these ids the task has used, and for which event.
    used: `select s.suspend_id, s.event_seq from ${t.suspensions} s where s.task_id = $1 and s.suspend_id = any ($2::text[])`,
    listOpen: `select ${SUSPENSION_COLUMNS} from ${t.suspensions} s
where s.task_id = $1 and s.status = 0 order by s.event_seq`,
    // The receipt of the action that a question was settled by.
    winner: `select ${RECEIPT_COLUMNS} from ${t.receipts} r where r.task_id = $1 and r.suspend_id = $2`,
    // Settles an open question; $3 status, $4 epoch ms, $5 action.
    settle: `
update ${t.suspensions} s set status = $3, resolved_at = to_timestamp($4::float8 / 1000), resolved_by = $5
where s.task_id = $1 and s.suspend_id = $2 and s.status = 0`,
    // Takes due resumes and hides them from others for $2 ms; of each task only the first that is not delivered.
    claim: `
with due as materialized (
  select r.task_id, r.client_action_id from ${t.receipts} r
  where r.resume_state = 1 and r.resume_next_try_at <= (select clock_timestamp())
    and not exists (select 1 from ${t.receipts} o
      where o.task_id = r.task_id and o.resume_state = 1 and o.event_seq < r.event_seq)
  order by r.resume_next_try_at limit $1 for no key update of r skip locked
), claimed as (
  update ${t.receipts} r set resume_attempts = r.resume_attempts + 1,
    resume_next_try_at = clock_timestamp() + $2::float8 * ${MS}
  from due where r.task_id = due.task_id and r.client_action_id = due.client_action_id
  returning r.*
)
select ${RECEIPT_COLUMNS}, ${SUSPENSION_COLUMNS} from claimed r ${withSuspension} order by r.event_seq`,
    // What a task's next run goes on with.
    nextUnconsumed: `
select ${RECEIPT_COLUMNS}, ${SUSPENSION_COLUMNS} from ${t.receipts} r ${withSuspension}
where r.task_id = $1 and r.resume_state in (1, 2) order by r.event_seq limit 1`,
    dispatched: `
update ${t.receipts} r set resume_state = 2, resume_next_try_at = null, resume_last_error = null
${setReceipt} and r.resume_state = 1`,
    failed: `
update ${t.receipts} r set resume_last_error = $3, resume_next_try_at = clock_timestamp() + $4::float8 * ${MS}
${setReceipt} and r.resume_state = 1`,
    consumed: `
update ${t.receipts} r set resume_state = 3, resume_next_try_at = null ${setReceipt} and r.resume_state in (1, 2)`,
    // Questions whose time is over, without those of tasks that somebody holds and of the tasks $2; checked again under
    // the task's lock, because this one ends with the statement.
    due: `
select s.task_id, s.suspend_id from ${t.suspensions} s join ${t.tasks} t on t.task_id = s.task_id
where s.status = 0 and s.expires_at <= (select clock_timestamp()) and s.task_id <> all ($2::uuid[])
order by s.expires_at limit $1 for no key update of t skip locked`,
  };
}
