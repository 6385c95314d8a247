import type { MigrationInterface, QueryRunner } from 'typeorm';
import { tableNames } from '../stores/table-names.js';

/** One-time tickets for streams. They live for seconds, so that going back loses nothing. */
export class CreateStreamTickets1764500000000 implements MigrationInterface {
  name = 'CreateStreamTickets1764500000000';

  async up(runner: QueryRunner): Promise<void> {
    const { streamTickets } = tableNames(runner.dataSource);
    // The hash only: who reads the table cannot present a ticket.
    await runner.query(`
create table ${streamTickets} (
  ticket_hash bytea not null,
  task_id uuid not null,
  auth json not null,
  expires_at timestamptz not null,
  constraint taskbridge_stream_tickets_pk primary key (ticket_hash)
)`);
    await runner.query(`create index taskbridge_stream_tickets_expiry_ix on ${streamTickets} (expires_at)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table ${tableNames(runner.dataSource).streamTickets}`);
  }
}
