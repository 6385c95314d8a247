import { epochMs } from './raw-query.js';
import type { TableNames } from './table-names.js';

export interface AttachmentSql {
  readonly begin: string;
  readonly writeChunk: string;
  readonly finish: string;
  readonly bind: string;
  readonly discard: string;
  readonly discardStaged: string;
  readonly countOf: string;
  readonly removeChunksOf: string;
  readonly removeOf: string;
  readonly list: string;
  readonly readChunk: string;
}

const COLUMNS = [
  'a.attachment_id',
  'a.task_id',
  'a.position',
  'a.name',
  'a.content_type',
  'a.size_bytes',
  'a.sha256',
  epochMs('a.created_at'),
].join(', ');

/** The statements on attachments and their chunks. A staged one has no task, and an unfinished one has no hash. */
export function attachmentSql(t: TableNames): AttachmentSql {
  return {
    begin: `
insert into ${t.attachments} (attachment_id, task_id, position, name, content_type, size_bytes, sha256, created_at)
values ($1, null, $2, $3, $4, 0, '', date_trunc('milliseconds', clock_timestamp()))`,
    // Nothing for an upload that was discarded meanwhile.
    writeChunk: `
insert into ${t.attachmentChunks} (attachment_id, chunk_no, data)
select a.attachment_id, $2::int, $3::bytea from ${t.attachments} a where a.attachment_id = $1 for key share of a`,
    finish: `
update ${t.attachments} a set size_bytes = $2, sha256 = $3 where a.attachment_id = $1 returning ${COLUMNS}`,
    // $1 task; again for the same task it changes nothing.
    bind: `
update ${t.attachments} a set task_id = $1
where a.attachment_id = any ($2::uuid[]) and a.sha256 <> '' and (a.task_id is null or a.task_id = $1)`,
    // Only what belongs to no task.
    discard: `
with gone as (
  delete from ${t.attachments} a where a.attachment_id = any ($1::uuid[]) and a.task_id is null
  returning a.attachment_id
)
delete from ${t.attachmentChunks} c using gone where c.attachment_id = gone.attachment_id`,
    discardStaged: `
with gone as (
  delete from ${t.attachments} a
  where a.task_id is null and a.created_at <= clock_timestamp() - $1::float8 * interval '1 millisecond'
  returning a.attachment_id
), chunks as (
  delete from ${t.attachmentChunks} c using gone where c.attachment_id = gone.attachment_id
)
select count(*) from gone`,
    countOf: `select count(*) from ${t.attachments} a where a.task_id = any ($1::uuid[])`,
    // At most $2 chunks of the files of tasks.
    removeChunksOf: `
with part as materialized (
  select c.attachment_id, c.chunk_no
  from ${t.attachments} a join ${t.attachmentChunks} c on c.attachment_id = a.attachment_id
  where a.task_id = any ($1::uuid[])
  order by c.attachment_id, c.chunk_no limit $2 for update of c
)
delete from ${t.attachmentChunks} c using part where c.attachment_id = part.attachment_id and c.chunk_no = part.chunk_no`,
    // Only once their content is gone, which would be out of reach otherwise.
    removeOf: `
delete from ${t.attachments} a where a.task_id = any ($1::uuid[])
  and not exists (select from ${t.attachmentChunks} c where c.attachment_id = a.attachment_id)`,
    list: `select ${COLUMNS} from ${t.attachments} a where a.task_id = $1 order by a.position, a.attachment_id`,
    // As hex, whatever the session's bytea_output.
    readChunk: `select encode(c.data, 'hex') from ${t.attachmentChunks} c where c.attachment_id = $1 and c.chunk_no = $2`,
  };
}
