/** Marks the file as a local task store (`TBLS`). */
export const APPLICATION_ID = 0x54424c53;

// The spool's counters are kept by triggers: whatever statement stores or deletes a message, the numbers follow in its
// transaction.
const VERSION_1 = `
create table local_task_executions (
  id integer primary key,
  task_id text not null,
  execution_attempt_id text not null,
  status text not null check (status in ('received', 'running', 'final', 'interrupted')),
  final_status text,
  exit_code integer,
  output_truncated integer not null default 0,
  error_truncated integer not null default 0,
  payload_truncated integer not null default 0,
  final_digest blob,
  -- [stream, sequence] of the last chunk that has left the outbox, where none of its stream is pending after it.
  stream_marks text not null default '[]',
  received_at_ms integer not null,
  started_at_ms integer,
  ended_at_ms integer,
  -- When nothing of an ended task was left to deliver.
  settled_at_ms integer,
  unique (task_id, execution_attempt_id)
);
create index local_task_executions_open on local_task_executions (status) where status in ('received', 'running');
create index local_task_executions_settled on local_task_executions (settled_at_ms) where settled_at_ms is not null;

create table local_task_outbox_messages (
  -- The order of delivery; never used twice, except by a truncation marker in its first chunk's place.
  message_no integer primary key,
  execution_id integer not null references local_task_executions (id),
  kind text not null check (kind in ('output', 'truncation', 'final')),
  stream text not null default '',
  sequence integer not null default 0,
  last_sequence integer not null default 0,
  dropped_chunks integer not null default 0,
  dropped_bytes integer not null default 0,
  byte_count integer not null check (byte_count = length(payload)),
  payload blob not null
);
create unique index local_task_outbox_messages_place
  on local_task_outbox_messages (kind, execution_id, stream, sequence);

create table local_task_spool (
  id integer primary key check (id = 1),
  last_message_no integer not null default 0,
  -- No pending chunk comes before it.
  first_chunk_no integer not null default 0,
  pending_messages integer not null default 0 check (pending_messages >= 0),
  pending_chunks integer not null default 0 check (pending_chunks >= 0),
  pending_finals integer not null default 0 check (pending_finals >= 0),
  chunk_bytes integer not null default 0 check (chunk_bytes >= 0),
  final_bytes integer not null default 0 check (final_bytes >= 0),
  open_tasks integer not null default 0 check (open_tasks >= 0),
  rotated_chunks integer not null default 0,
  rotated_bytes integer not null default 0
);
insert into local_task_spool (id) values (1);

create trigger local_task_executions_forward_only before update of status on local_task_executions
when old.status in ('final', 'interrupted') or (old.status = 'running' and new.status = 'received') begin
  select raise(abort, 'a task never goes back');
end;
create trigger local_task_executions_opened after insert on local_task_executions begin
  update local_task_spool set open_tasks = open_tasks + 1;
end;
create trigger local_task_executions_ended after update of status on local_task_executions
when new.status in ('final', 'interrupted') begin
  update local_task_spool set open_tasks = open_tasks - 1;
end;
create trigger local_task_executions_discarded after delete on local_task_executions
when old.status in ('received', 'running') begin
  update local_task_spool set open_tasks = open_tasks - 1;
end;

create trigger local_task_outbox_messages_stored after insert on local_task_outbox_messages begin
  update local_task_spool set
    last_message_no = max(last_message_no, new.message_no),
    pending_messages = pending_messages + 1,
    pending_chunks = pending_chunks + (new.kind = 'output'),
    pending_finals = pending_finals + (new.kind = 'final'),
    chunk_bytes = chunk_bytes + (new.kind = 'output') * new.byte_count,
    final_bytes = final_bytes + (new.kind = 'final') * new.byte_count;
end;
create trigger local_task_outbox_messages_deleted after delete on local_task_outbox_messages begin
  update local_task_spool set
    pending_messages = pending_messages - 1,
    pending_chunks = pending_chunks - (old.kind = 'output'),
    pending_finals = pending_finals - (old.kind = 'final'),
    chunk_bytes = chunk_bytes - (old.kind = 'output') * old.byte_count,
    final_bytes = final_bytes - (old.kind = 'final') * old.byte_count;
end;
`;

// The counters are written by the store itself, once for each transaction; the last numbers of streams have rows of
// their own, so that no call's cost grows with the number of a task's streams; the place of a message begins with its
// execution, which the check of the foreign key looks for when an execution is deleted.
const VERSION_2 = `
drop trigger local_task_executions_opened;
drop trigger local_task_executions_ended;
drop trigger local_task_executions_discarded;
drop trigger local_task_outbox_messages_stored;
drop trigger local_task_outbox_messages_deleted;

-- Set aside for the final of an open task since its receipt; null for one that ended before this version.
alter table local_task_executions add column reserve_bytes integer;

-- The last number of a stream of a running task, where a chunk with that number has left the outbox.
create table local_task_streams (
  execution_id integer not null references local_task_executions (id),
  stream text not null,
  last_sequence integer not null,
  primary key (execution_id, stream)
) without rowid;
insert into local_task_streams (execution_id, stream, last_sequence)
select e.id, json_extract(m.value, '$[0]'), json_extract(m.value, '$[1]')
from local_task_executions e, json_each(e.stream_marks) m where e.status = 'running';
alter table local_task_executions drop column stream_marks;

drop index local_task_outbox_messages_place;
create unique index local_task_outbox_messages_place
  on local_task_outbox_messages (execution_id, kind, stream, sequence);
create index local_task_outbox_messages_without_output
  on local_task_outbox_messages (kind, message_no) where kind <> 'output';
`;

/** Forward only, never edited once released: the nth brings a file to `user_version` n. */
export const MIGRATIONS: readonly string[] = [VERSION_1, VERSION_2];
