import type { TableNames } from '../stores/table-names.js';
import { RETAINED, type RowCheck } from './row-check.js';

/** Appends were applied once, and attachments are whole. */
export function contentChecks(t: TableNames, retainedMs: number): RowCheck[] {
  return [
    {
      code: 'APPEND_NO_BEHIND',
      offenders: `
select t.task_id, format('attempt %s, the task says %s, the log %s', t.attempt, t.append_no, max(e.append_no)) as subject
from ${t.tasks} t join ${t.events} e on e.task_id = t.task_id and e.attempt = t.attempt
where t.task_id = any ($1::uuid[]) group by t.task_id, t.attempt, t.append_no having max(e.append_no) > t.append_no`,
    },
    {
      code: 'APPEND_NO_REPEATED',
      offenders: `
select e.task_id, format('attempt %s, number %s', e.attempt, e.append_no) as subject from ${t.events} e
where e.task_id = any ($1::uuid[]) and e.append_no is not null
group by e.task_id, e.attempt, e.append_no having count(*) > 1`,
    },
    {
      code: 'ATTACHMENT_MISMATCH',
      limitMs: retainedMs,
      offenders: `
select a.task_id, format('"%s": %s bytes in %s chunks instead of %s bytes', a.name, c.bytes, c.chunks, a.size_bytes)
  as subject
from ${t.tasks} t join ${t.attachments} a on a.task_id = t.task_id cross join lateral (
  select count(*) as chunks, coalesce(sum(octet_length(c.data)), 0) as bytes, coalesce(max(c.chunk_no) + 1, 0) as no
  from ${t.attachmentChunks} c where c.attachment_id = a.attachment_id) c
where t.task_id = any ($1::uuid[]) and ${RETAINED} and (c.bytes <> a.size_bytes or c.chunks <> c.no or a.sha256 = '')`,
    },
  ];
}
