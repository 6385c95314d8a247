import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import type { HandoffState, JsonObject } from '../stores/records.js';
import { bigintAsNumber } from './column-transformers.js';

/** One accepted action and its hand-off to the run that continues with it. */
@Entity({ name: 'taskbridge_receipts', synchronize: false })
@Unique('taskbridge_receipts_suspension_uq', ['taskId', 'suspendId'])
@Index('taskbridge_receipts_resume_ix', { synchronize: false })
export class ReceiptEntity {
  @PrimaryColumn('uuid', { name: 'task_id', primaryKeyConstraintName: 'taskbridge_receipts_pk' })
  taskId: string;

  @PrimaryColumn('text', { name: 'client_action_id', primaryKeyConstraintName: 'taskbridge_receipts_pk' })
  clientActionId: string;

  @Column('text', { name: 'suspend_id' })
  suspendId: string;

  @Column('text', { name: 'action_type' })
  actionType: string;

  @Column('json', { name: 'payload', nullable: true })
  payload: JsonObject | null;

  @Column('json', { name: 'metadata', nullable: true })
  metadata: JsonObject | null;

  @Column('text', { name: 'request_hash' })
  requestHash: string;

  /** Sequence number of its `TASK_ACTION_ACCEPTED`; the order of acceptance. */
  @Column('bigint', { name: 'event_seq', transformer: bigintAsNumber })
  eventSeq: number;

  /** `null` when the suspension's expiry acted. */
  @Column('text', { name: 'accepted_by', nullable: true })
  acceptedBy: string | null;

  @Column('timestamptz', { name: 'accepted_at' })
  acceptedAt: Date;

  @Column('smallint', { name: 'resume_state' })
  resumeState: HandoffState;

  @Column('integer', { name: 'resume_attempts', default: 0 })
  resumeAttempts: number;

  @Column('timestamptz', { name: 'resume_next_try_at', nullable: true })
  resumeNextTryAt: Date | null;

  @Column('text', { name: 'resume_last_error', nullable: true })
  resumeLastError: string | null;
}
