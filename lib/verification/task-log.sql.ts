import { dateOrNull, epochMs, type RawRow } from '../stores/raw-query.js';
import type { TableNames } from '../stores/table-names.js';

/** A task's row beside what its retained log adds up to. Sequence numbers are `null` where nothing has them. */
export interface TaskLog {
  readonly taskId: string;
  /** Codes as stored: 0 ACCEPTED, 1 RUNNING, 2–4 ended. */
  readonly status: number;
  readonly lastSeq: number;
  readonly retainedFromSeq: number;
  readonly attempt: number;
  readonly startedAt: Date | null;
  readonly finishedAt: Date | null;
  readonly log: {
    readonly events: number;
    readonly firstSeq: number | null;
    readonly lastSeq: number | null;
    readonly holes: number;
    readonly holeAfter: number | null;
    readonly starts: number;
    readonly startSeq: number | null;
    readonly startAt: Date | null;
    /** The first event that only a running task may log. */
    readonly runningSeq: number | null;
    readonly endings: number;
    readonly endSeq: number | null;
    readonly endType: number | null;
    readonly endAt: Date | null;
    /** The first event after an ending that is not an ending itself. */
    readonly lateSeq: number | null;
    readonly highestAttempt: number | null;
    /** The first event of an attempt after an event of a later one. */
    readonly supersededSeq: number | null;
  };
}

/**
 * Folds the logs of the tasks $1 on the server, in the order of the primary key, so that a long log costs no memory
 * here. Types: 0 STARTED, 1 PROGRESS, 2 MESSAGE, 3 SUSPENDED, 4 ACTION_ACCEPTED, 5–7 the endings.
 */
export function taskLogStatement(t: TableNames): string {
  return `
with log as (
  select e.task_id, e.seq, e.type, e.attempt, lag(e.seq) over in_order as previous_seq,
    max(e.attempt) over before as highest_attempt, bool_or(e.type >= 5) over before as after_end
  from ${t.tasks} t join ${t.events} e on e.task_id = t.task_id and e.seq >= t.retained_from_seq
  where t.task_id = any ($1::uuid[])
  window in_order as (partition by e.task_id order by e.seq),
    before as (in_order rows between unbounded preceding and 1 preceding)
), fold as (
  select l.task_id, count(*) as events, min(l.seq) as first_seq, max(l.seq) as last_seq,
    count(*) filter (where l.seq > l.previous_seq + 1) as holes,
    min(l.previous_seq) filter (where l.seq > l.previous_seq + 1) as hole_after,
    count(*) filter (where l.type = 0) as starts, min(l.seq) filter (where l.type = 0) as start_seq,
    min(l.seq) filter (where l.type in (1, 3, 4, 5)) as running_seq,
    count(*) filter (where l.type >= 5) as endings, min(l.seq) filter (where l.type >= 5) as end_seq,
    min(l.seq) filter (where l.after_end and l.type < 5) as late_seq,
    max(l.attempt) as highest_attempt, min(l.seq) filter (where l.attempt < l.highest_attempt) as superseded_seq
  from log l group by l.task_id
)
select t.task_id, t.status, t.last_seq, t.retained_from_seq, t.attempt, ${epochMs('t.started_at')},
  ${epochMs('t.finished_at')}, coalesce(f.events, 0), f.first_seq, f.last_seq, coalesce(f.holes, 0), f.hole_after,
  coalesce(f.starts, 0), f.start_seq, ${epochMs('s.created_at')}, f.running_seq, coalesce(f.endings, 0), f.end_seq,
  d.type, ${epochMs('d.created_at')}, f.late_seq, f.highest_attempt, f.superseded_seq
from ${t.tasks} t left join fold f on f.task_id = t.task_id
  left join ${t.events} s on s.task_id = t.task_id and s.seq = f.start_seq
  left join ${t.events} d on d.task_id = t.task_id and d.seq = f.end_seq
where t.task_id = any ($1::uuid[]) order by t.task_id`;
}

/** Reads a row of `taskLogStatement`. */
export function taskLogOf(row: RawRow): TaskLog {
  const number = (index: number): number => Number(row[index]);
  const numberOrNull = (index: number): number | null => (row[index] === null ? null : Number(row[index]));
  return {
    taskId: String(row[0]),
    status: number(1),
    lastSeq: number(2),
    retainedFromSeq: number(3),
    attempt: number(4),
    startedAt: dateOrNull(row[5]),
    finishedAt: dateOrNull(row[6]),
    log: {
      events: number(7),
      firstSeq: numberOrNull(8),
      lastSeq: numberOrNull(9),
      holes: number(10),
      holeAfter: numberOrNull(11),
      starts: number(12),
      startSeq: numberOrNull(13),
      startAt: dateOrNull(row[14]),
      runningSeq: numberOrNull(15),
      endings: number(16),
      endSeq: numberOrNull(17),
      endType: numberOrNull(18),
      endAt: dateOrNull(row[19]),
      lateSeq: numberOrNull(20),
      highestAttempt: numberOrNull(21),
      supersededSeq: numberOrNull(22),
    },
  };
}
