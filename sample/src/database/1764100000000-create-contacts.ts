import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The sample's own table; the library brings migrations of its own. */
export class CreateContacts1764100000000 implements MigrationInterface {
  name = 'CreateContacts1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
create table contacts (
  id bigint generated always as identity,
  owner_id text not null,
  task_id uuid not null,
  line integer not null,
  name text not null,
  email text not null,
  phone text not null,
  company text not null,
  created_at timestamptz not null default now(),
  constraint contacts_pk primary key (id),
  constraint contacts_task_line_uq unique (task_id, line)
)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table contacts');
  }
}
