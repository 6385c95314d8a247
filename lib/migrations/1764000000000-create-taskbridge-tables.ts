import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tableNames } from '../stores/table-names.js';

/** The first schema. Forward-only: later changes are migrations of their own. */
export class CreateTaskBridgeTables1764000000000 implements MigrationInterface {
  name = 'CreateTaskBridgeTables1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    const t = tableNames(runner.dataSource);
    await runner.query(`
create table ${t.tasks} (
  task_id uuid not null,
  owner_id text not null,
  app_id text,
  client_request_id text not null,
  request_hash text not null,
  task_type text not null,
  status smallint not null default 0,
  input json not null,
  metadata json not null,
  last_seq bigint not null default 0,
  retained_from_seq bigint not null default 1,
  attempt integer not null default 0,
  append_no integer not null default 0,
  retries integer not null default 0,
  lease_owner uuid,
  next_run_at timestamptz,
  suspended_at timestamptz,
  deadline_at timestamptz,
  submission_state smallint not null default 1,
  submission_attempts integer not null default 0,
  submission_next_try_at timestamptz,
  submission_last_error text,
  cancel_requested_at timestamptz,
  cancel_reason text,
  cancel_state smallint not null default 0,
  cancel_attempts integer not null default 0,
  cancel_next_try_at timestamptz,
  cancel_last_error text,
  traceparent text,
  created_at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
  started_at timestamptz,
  finished_at timestamptz,
  constraint taskbridge_tasks_pk primary key (task_id),
  constraint taskbridge_tasks_owner_request_uq unique (owner_id, client_request_id)
) with (fillfactor = 80)`);
    // Keyset paging of an owner's tasks: task ids are UUIDv7, so their order is the order of creation.
    await runner.query(`create index taskbridge_tasks_owner_ix on ${t.tasks} (owner_id, task_id desc)`);
    await runner.query(
      `create index taskbridge_tasks_submission_ix on ${t.tasks} (submission_next_try_at) where submission_state = 1`,
    );
    await runner.query(
      `create index taskbridge_tasks_cancel_ix on ${t.tasks} (cancel_next_try_at) where cancel_state = 1`,
    );
    await runner.query(
      `create index taskbridge_tasks_runnable_ix on ${t.tasks} (task_type, next_run_at) where next_run_at is not null`,
    );
    await runner.query(
      `create index taskbridge_tasks_lease_ix on ${t.tasks} (lease_owner) where lease_owner is not null`,
    );
    await runner.query(
      `create index taskbridge_tasks_deadline_ix on ${t.tasks} (deadline_at) where deadline_at is not null and status < 2`,
    );
    await runner.query(
      `create index taskbridge_tasks_finished_ix on ${t.tasks} (finished_at) where finished_at is not null`,
    );

    // No foreign key to tasks: it would cost a third more per append, and the append checks the task row anyway.
    await runner.query(`
create table ${t.events} (
  task_id uuid not null,
  seq bigint not null,
  type smallint not null,
  attempt integer,
  append_no integer,
  append_id uuid,
  created_at timestamptz not null,
  payload json not null,
  constraint taskbridge_events_pk primary key (task_id, seq)
)`);
    await runner.query(
      `create unique index taskbridge_events_append_id_uq on ${t.events} (task_id, append_id) where append_id is not null`,
    );

    await runner.query(`
create table ${t.suspensions} (
  task_id uuid not null,
  suspend_id text not null,
  event_seq bigint not null,
  kind text not null,
  reason_code text not null,
  allowed_actions json not null,
  schema_version integer not null,
  expires_at timestamptz,
  on_expiry json not null,
  ui_hints json,
  interaction json,
  action_schemas json,
  state json,
  status smallint not null default 0,
  created_at timestamptz not null,
  resolved_at timestamptz,
  resolved_by text,
  constraint taskbridge_suspensions_pk primary key (task_id, suspend_id)
)`);
    await runner.query(
      `create index taskbridge_suspensions_expiry_ix on ${t.suspensions} (expires_at) where status = 0 and expires_at is not null`,
    );

    // One accepted action per suspension: the unique constraint, not a check, picks the winner.
    await runner.query(`
create table ${t.receipts} (
  task_id uuid not null,
  client_action_id text not null,
  suspend_id text not null,
  action_type text not null,
  payload json,
  metadata json,
  request_hash text not null,
  event_seq bigint not null,
  accepted_by text,
  accepted_at timestamptz not null,
  resume_state smallint not null,
  resume_attempts integer not null default 0,
  resume_next_try_at timestamptz,
  resume_last_error text,
  constraint taskbridge_receipts_pk primary key (task_id, client_action_id),
  constraint taskbridge_receipts_suspension_uq unique (task_id, suspend_id)
)`);
    await runner.query(
      `create index taskbridge_receipts_resume_ix on ${t.receipts} (resume_next_try_at) where resume_state = 1`,
    );

    await runner.query(`
create table ${t.processes} (
  process_id uuid not null,
  host text not null,
  pid integer not null,
  started_at timestamptz not null,
  expires_at timestamptz not null,
  constraint taskbridge_processes_pk primary key (process_id)
)`);

    await runner.query(`
create table ${t.attachments} (
  attachment_id uuid not null,
  task_id uuid,
  position integer not null,
  name text not null,
  content_type text not null,
  size_bytes bigint not null,
  sha256 text not null,
  created_at timestamptz not null,
  constraint taskbridge_attachments_pk primary key (attachment_id)
)`);
    await runner.query(`create index taskbridge_attachments_task_ix on ${t.attachments} (task_id, position)`);
    await runner.query(`
create table ${t.attachmentChunks} (
  attachment_id uuid not null,
  chunk_no integer not null,
  data bytea not null,
  constraint taskbridge_attachment_chunks_pk primary key (attachment_id, chunk_no)
)`);
    await runner.query(`alter table ${t.attachmentChunks} alter column data set storage external`);
  }

  async down(): Promise<void> {
    throw new Error('TaskBridge migrations are forward-only: restore a backup to go back');
  }
}
