import type { TaskEventType } from '@taskbridge/protocol';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { JsonObject } from '../stores/records.js';
import { bigintAsNumber, taskEventType } from './column-transformers.js';

/** One entry of a task's log, never changed once written. */
@Entity({ name: 'taskbridge_events', synchronize: false })
@Index('taskbridge_events_append_id_uq', { synchronize: false })
export class TaskEventEntity {
  @PrimaryColumn('uuid', { name: 'task_id', primaryKeyConstraintName: 'taskbridge_events_pk' })
  taskId: string;

  @PrimaryColumn('bigint', {
    name: 'seq',
    transformer: bigintAsNumber,
    primaryKeyConstraintName: 'taskbridge_events_pk',
  })
  seq: number;

  @Column('smallint', { name: 'type', transformer: taskEventType })
  type: TaskEventType;

  /** `null` for what the system itself logged. */
  @Column('integer', { name: 'attempt', nullable: true })
  attempt: number | null;

  @Column('integer', { name: 'append_no', nullable: true })
  appendNo: number | null;

  @Column('uuid', { name: 'append_id', nullable: true })
  appendId: string | null;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('json', { name: 'payload' })
  payload: JsonObject;
}
