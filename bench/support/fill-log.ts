import type { BenchDatabase } from './bench-database.js';
import { benchPayload } from './payload.js';

/** Gives a running task a log of so many events of about this size, by one statement. */
export async function fillLog(
  { query, tables }: BenchDatabase,
  taskId: string,
  events: number,
  eventBytes = 0,
): Promise<void> {
  const { message, ...rest } = benchPayload();
  const payload = JSON.stringify({ ...rest, message: message.padEnd(eventBytes, '.') });
  await query(
    `insert into ${tables.events} (task_id, seq, type, attempt, append_no, created_at, payload)
     select $1, n, 1, 1, n, now(), $3::json from generate_series(1, $2::int) as n`,
    [taskId, events, payload],
  );
  const grown = `update ${tables.tasks} set last_seq = $2::int, append_no = $2::int where task_id = $1`;
  await query(grown, [taskId, events]);
}
