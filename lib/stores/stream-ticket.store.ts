import { Inject, Injectable } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { TASKBRIDGE_DATA_SOURCE } from '../taskbridge.tokens.js';
import { epochMs, rawCount, rawRows } from './raw-query.js';
import { type TableNames, tableNames } from './table-names.js';

/** What a ticket was issued for. */
export interface StoredTicket {
  taskId: string;
  /** The `AuthContext` it was issued to, as JSON. */
  authJson: string;
  isExpired: boolean;
}

/** Tickets by their hash; whether one has expired is for the database's clock to say. */
@Injectable()
export class StreamTicketStore {
  private readonly sql: ReturnType<typeof streamTicketSql>;

  constructor(@Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource) {
    this.sql = streamTicketSql(tableNames(dataSource));
  }

  /** Returns when it expires. */
  async save(hash: Buffer, taskId: string, authJson: string, ttlMs: number): Promise<Date> {
    const [row = []] = await rawRows(this.dataSource, this.sql.save, [hash, taskId, authJson, ttlMs]);
    return new Date(Number(row[0]));
  }

  /** Removes the ticket and returns it: of all who present one at the same time, one gets it. */
  async take(hash: Buffer): Promise<StoredTicket | undefined> {
    const [row] = await rawRows(this.dataSource, this.sql.take, [hash]);
    return row && { taskId: String(row[0]), authJson: String(row[1]), isExpired: row[2] === true };
  }

  /** Removes what has expired without having been presented; returns the count. */
  removeExpired(limit: number): Promise<number> {
    return rawCount(this.dataSource, this.sql.removeExpired, [limit]);
  }
}

function streamTicketSql({ streamTickets }: TableNames) {
  return {
    save: `
insert into ${streamTickets} (ticket_hash, task_id, auth, expires_at)
values ($1, $2, $3, date_trunc('milliseconds', clock_timestamp()) + $4::float8 * interval '1 millisecond')
returning ${epochMs('expires_at')}`,
    take: `
delete from ${streamTickets} where ticket_hash = $1 returning task_id, auth, expires_at <= clock_timestamp()`,
    removeExpired: `
delete from ${streamTickets} where ticket_hash in (
  select ticket_hash from ${streamTickets} where expires_at <= clock_timestamp()
  order by expires_at limit $1 for update skip locked)`,
  };
}
