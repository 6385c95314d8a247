import type { FindingCode } from './finding-codes.js';

/** One statement over a batch of tasks that returns the rows that must not be. */
export interface RowCheck {
  readonly code: FindingCode;
  /** Selects `task_id` and a text `subject`; $1 the tasks, $2 `limitMs` where there is one. */
  readonly offenders: string;
  readonly limitMs?: number;
}

/** True of a task `t` that retention cannot have begun to take apart; $2 ms after its end. */
export const RETAINED = `(t.status < 2 or t.finished_at > now() - $2::float8 * interval '1 millisecond')`;

/** One row per task: how many rows offend, and the first of them. */
export function offendersStatement({ offenders }: RowCheck): string {
  return `select o.task_id, count(*), min(o.subject) from (${offenders}) o group by o.task_id order by o.task_id`;
}

/** SQL for a time as RFC 3339 in UTC, whatever the session's settings. */
export function utcText(expression: string): string {
  return `to_char(${expression} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`;
}
