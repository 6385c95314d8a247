import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A live process that runs tasks; past `expiresAt` on the database's clock its leases may be reclaimed. */
@Entity({ name: 'taskbridge_processes', synchronize: false })
export class RunnerProcessEntity {
  @PrimaryColumn('uuid', { name: 'process_id', primaryKeyConstraintName: 'taskbridge_processes_pk' })
  processId: string;

  @Column('text', { name: 'host' })
  host: string;

  @Column('integer', { name: 'pid' })
  pid: number;

  @Column('timestamptz', { name: 'started_at' })
  startedAt: Date;

  @Column('timestamptz', { name: 'expires_at' })
  expiresAt: Date;
}
