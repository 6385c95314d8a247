import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

/** A one-time ticket for one stream of one task, until it is presented or swept. */
@Entity({ name: 'taskbridge_stream_tickets', synchronize: false })
@Index('taskbridge_stream_tickets_expiry_ix', { synchronize: false })
export class StreamTicketEntity {
  /** SHA-256 of the ticket, which itself is stored nowhere. */
  @PrimaryColumn('bytea', { name: 'ticket_hash', primaryKeyConstraintName: 'taskbridge_stream_tickets_pk' })
  ticketHash: Buffer;

  @Column('uuid', { name: 'task_id' })
  taskId: string;

  /** Whom it was issued to: an `AuthContext`. */
  @Column('json', { name: 'auth' })
  auth: Record<string, unknown>;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
