import { lockTimeout, WITHIN_ONE_TRY } from './row-turns.js';
import type { TableNames } from './table-names.js';
import type { TaskHandoff } from './task-registry.js';
import { CREATED_COLUMNS, TASK_COLUMNS } from './task-row.js';

/** Columns of a hand-off on the task row start with its name. */
const PREFIX: Record<TaskHandoff, string> = { submission: 'submission', cancellation: 'cancel' };

/** How long creates that share a statement wait for the key of one of them, in ms; that one then waits alone. */
const SHARED_WAIT_MS = 25;

export interface RegistrySql {
  readonly insert: string;
  /** The same outside a transaction. */
  readonly insertSoon: string;
  /** Many tasks at once, outside a transaction. */
  readonly insertMany: string;
  readonly get: string;
  readonly getLocked: string;
  readonly findByRequest: string;
  readonly requestCancellation: string;
  readonly list: string;
  readonly overdue: string;
  claim(kind: TaskHandoff): string;
  delivered(kind: TaskHandoff): string;
  /** The same outside a transaction. */
  deliveredSoon(kind: TaskHandoff): string;
  failed(kind: TaskHandoff): string;
}

/** The registry's statements for one set of tables. */
export function registrySql(t: TableNames): RegistrySql {
  const delivered = (kind: TaskHandoff): string => `
update ${t.tasks} t set ${PREFIX[kind]}_state = 2, ${PREFIX[kind]}_next_try_at = null, ${PREFIX[kind]}_last_error = null
where t.task_id = $1 and t.${PREFIX[kind]}_state = 1`;
  const byId = `select ${TASK_COLUMNS} from ${t.tasks} t where t.task_id = $1`;
  return {
    insert: insert(t, 'true'),
    insertSoon: insert(t, WITHIN_ONE_TRY),
    insertMany: insertMany(t),
    get: byId,
    getLocked: `${byId} for no key update of t`,
    findByRequest: `select ${TASK_COLUMNS}, t.request_hash from ${t.tasks} t
where t.owner_id = $1 and t.client_request_id = $2`,
    // The first reason stays; a hand-off that is under way or done is not repeated. $3 ms of claim.
    requestCancellation: `
update ${t.tasks} t set
  cancel_requested_at = coalesce(t.cancel_requested_at, clock_timestamp()),
  cancel_reason = coalesce(t.cancel_reason, $2),
  cancel_state = case when t.cancel_state = 0 then 1 else t.cancel_state end,
  cancel_attempts = case when t.cancel_state = 0 then ($3::float8 > 0)::integer else t.cancel_attempts end,
  cancel_next_try_at = case when t.cancel_state = 0
    then clock_timestamp() + $3::float8 * interval '1 millisecond' else t.cancel_next_try_at end
where t.task_id = $1 and t.status < 2`,
    // A page of an owner's tasks, newest first; a null filter does not filter. $5 id of the page before.
    list: `
select * from (
  select ${TASK_COLUMNS}, t.status < 2 and exists (
    select 1 from ${t.suspensions} s where s.task_id = t.task_id and s.status = 0) as waiting
  from ${t.tasks} t
  where t.owner_id = $1 and ($2::smallint is null or t.status = $2) and ($3::text is null or t.task_type = $3)
    and ($5::uuid is null or t.task_id < $5)
) page
where $4::boolean is null or page.waiting = $4
order by page.task_id desc limit $6`,
    overdue: `select t.task_id from ${t.tasks} t
where t.deadline_at <= (select clock_timestamp()) and t.status < 2 and t.task_id <> all ($2::uuid[])
order by t.deadline_at limit $1 for no key update of t skip locked`,
    // Takes due hand-offs and hides them from others for a while. The clock is read once: a volatile call in the
    // condition would keep the index out.
    claim: (kind) => `
with due as materialized (
  select t.task_id from ${t.tasks} t
  where t.${PREFIX[kind]}_state = 1 and t.${PREFIX[kind]}_next_try_at <= (select clock_timestamp()) and t.status < 2
  order by t.${PREFIX[kind]}_next_try_at limit $1 for no key update of t skip locked
)
update ${t.tasks} t set ${PREFIX[kind]}_attempts = t.${PREFIX[kind]}_attempts + 1,
  ${PREFIX[kind]}_next_try_at = clock_timestamp() + $2::float8 * interval '1 millisecond'
from due where t.task_id = due.task_id
returning ${TASK_COLUMNS}`,
    delivered,
    deliveredSoon: (kind) => `${delivered(kind)} and ${WITHIN_ONE_TRY}`,
    failed: (kind) => `
update ${t.tasks} t set ${PREFIX[kind]}_last_error = $2,
  ${PREFIX[kind]}_next_try_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
where t.task_id = $1 and t.${PREFIX[kind]}_state = 1 and ${WITHIN_ONE_TRY}`,
  };
}

/**
 * Creates the task unless its key exists; waits for a concurrent create of the same key. $9 ms of deadline, $11 ms of
 * claim, which counts as the first try.
 */
function insert(t: TableNames, condition: string): string {
  return `
insert into ${t.tasks} as t (task_id, owner_id, app_id, client_request_id, task_type, input, metadata, request_hash,
  deadline_at, traceparent, submission_next_try_at, submission_attempts)
select $1::uuid, $2, $3, $4, $5, $6::json, $7::json, $8,
  clock_timestamp() + $9::float8 * interval '1 millisecond', $10,
  clock_timestamp() + $11::float8 * interval '1 millisecond', ($11::float8 > 0)::integer
where ${condition}
on conflict (owner_id, client_request_id) do nothing
returning ${CREATED_COLUMNS}`;
}

/**
 * The same for every element of $1, JSON objects of these members; returns the id and times of those it has created. In
 * the order of their keys, so that two of these never wait for each other, and hardly waiting for a key that somebody
 * holds: all the others would wait with it.
 */
function insertMany(t: TableNames): string {
  return `
insert into ${t.tasks} as t (task_id, owner_id, app_id, client_request_id, task_type, input, metadata, request_hash,
  deadline_at, traceparent, submission_next_try_at, submission_attempts)
select i.task_id, i.owner_id, i.app_id, i.client_request_id, i.task_type, i.input, i.metadata, i.request_hash,
  clock_timestamp() + i.deadline_ms * interval '1 millisecond', i.traceparent,
  clock_timestamp() + i.claim_ms * interval '1 millisecond', (i.claim_ms > 0)::integer
from json_to_recordset($1::json) as i(task_id uuid, owner_id text, app_id text, client_request_id text, task_type text,
  input json, metadata json, request_hash text, deadline_ms float8, traceparent text, claim_ms float8)
where ${lockTimeout(SHARED_WAIT_MS)}
order by i.owner_id, i.client_request_id
on conflict (owner_id, client_request_id) do nothing
returning t.task_id, ${CREATED_COLUMNS}`;
}
