import { Inject, Injectable } from '@nestjs/common';
import type { DataSource, EntityManager } from 'typeorm';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { dateOrNull, epochMs, rawRows } from './raw-query.js';
import type { TaskRecord } from './records.js';
import { type TableNames, tableNames } from './table-names.js';

/** What is known of a task's present attempt beyond the task's row. */
export interface TaskRunView {
  /** The database's clock. */
  now: Date;
  /** Of the process that holds the lease; `null` without a lease, and for a process that is not registered any more. */
  host: string | null;
  leaseExpiresAt: Date | null;
  /** Of the attempt's first event; `null` before it. */
  firstEventAt: Date | null;
  /** Of the log's newest event. */
  lastEventAt: Date | null;
}

/** Looks at runs, without a part in them. */
@Injectable()
export class TaskRunStore {
  private readonly viewSql: string;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) dataSource: DataSource) {
    this.viewSql = viewStatement(tableNames(dataSource));
  }

  /** Of the instant of the manager's snapshot; a few steps on indexes, however long the log is. */
  async view(task: TaskRecord, manager: EntityManager): Promise<TaskRunView> {
    const [row = []] = await rawRows(manager, this.viewSql, [task.taskId, task.attempt, task.leaseOwner]);
    return {
      now: dateOrNull(row[0]) ?? new Date(),
      host: typeof row[1] === 'string' ? row[1] : null,
      leaseExpiresAt: dateOrNull(row[2]),
      firstEventAt: dateOrNull(row[3]),
      lastEventAt: dateOrNull(row[4]),
    };
  }
}

/**
 * Attempts only grow along the log, so the first event of attempt $2 is found by halving: its number is above `low` and
 * at most `high`. Events of the system, which have no attempt, count as the next one that has.
 */
function viewStatement(t: TableNames): string {
  return `
with recursive halved(low, high) as (
  select t.retained_from_seq - 1, t.last_seq + 1 from ${t.tasks} t where t.task_id = $1
  union all
  select case when e.attempt < $2 then e.seq else h.low end, case when e.attempt < $2 then h.high else h.middle end
  from (select low, high, (low + high) / 2 as middle from halved where high - low > 1) h left join lateral (
    select e.seq, e.attempt from ${t.events} e
    where e.task_id = $1 and e.seq >= h.middle and e.attempt is not null order by e.seq limit 1) e on true
), first as (
  select e.created_at from ${t.events} e
  where e.task_id = $1 and e.attempt = $2 and e.seq >= (select min(h.high) from halved h) order by e.seq limit 1
), last as (
  select e.created_at from ${t.events} e where e.task_id = $1 order by e.seq desc limit 1
)
select ${epochMs('clock_timestamp()')}, p.host, ${epochMs('p.expires_at')}, (select ${epochMs('created_at')} from first),
  (select ${epochMs('created_at')} from last)
from (select) nothing left join ${t.processes} p on p.process_id = $3`;
}
