import type { TaskStatus } from '@taskbridge/protocol';
import { Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';
import type { HandoffState, JsonObject } from '../stores/records.js';
import { bigintAsNumber, taskStatus } from './column-transformers.js';

/** One task: its request, its status and the state of its hand-offs. The result is the payload of its terminal event. */
@Entity({ name: 'taskbridge_tasks', synchronize: false })
@Unique('taskbridge_tasks_owner_request_uq', ['ownerId', 'clientRequestId'])
@Index('taskbridge_tasks_owner_ix', { synchronize: false })
@Index('taskbridge_tasks_submission_ix', { synchronize: false })
@Index('taskbridge_tasks_cancel_ix', { synchronize: false })
@Index('taskbridge_tasks_runnable_ix', { synchronize: false })
@Index('taskbridge_tasks_lease_ix', { synchronize: false })
@Index('taskbridge_tasks_deadline_ix', { synchronize: false })
@Index('taskbridge_tasks_finished_ix', { synchronize: false })
export class TaskEntity {
  @PrimaryColumn('uuid', { name: 'task_id', primaryKeyConstraintName: 'taskbridge_tasks_pk' })
  taskId: string;

  @Column('text', { name: 'owner_id' })
  ownerId: string;

  @Column('text', { name: 'app_id', nullable: true })
  appId: string | null;

  @Column('text', { name: 'client_request_id' })
  clientRequestId: string;

  @Column('text', { name: 'request_hash' })
  requestHash: string;

  @Column('text', { name: 'task_type' })
  taskType: string;

  @Column('smallint', { name: 'status', default: 0, transformer: taskStatus })
  status: TaskStatus;

  @Column('json', { name: 'input' })
  input: JsonObject;

  @Column('json', { name: 'metadata' })
  metadata: JsonObject;

  /** Sequence number of the newest event; 0 while the log is empty. */
  @Column('bigint', { name: 'last_seq', default: 0, transformer: bigintAsNumber })
  lastSeq: number;

  @Column('bigint', { name: 'retained_from_seq', default: 1, transformer: bigintAsNumber })
  retainedFromSeq: number;

  @Column('integer', { name: 'attempt', default: 0 })
  attempt: number;

  /** Number of the newest append of `attempt` that was accepted. */
  @Column('integer', { name: 'append_no', default: 0 })
  appendNo: number;

  @Column('integer', { name: 'retries', default: 0 })
  retries: number;

  @Column('uuid', { name: 'lease_owner', nullable: true })
  leaseOwner: string | null;

  @Column('timestamptz', { name: 'next_run_at', nullable: true })
  nextRunAt: Date | null;

  @Column('timestamptz', { name: 'suspended_at', nullable: true })
  suspendedAt: Date | null;

  @Column('timestamptz', { name: 'deadline_at', nullable: true })
  deadlineAt: Date | null;

  @Column('smallint', { name: 'submission_state', default: 1 })
  submissionState: HandoffState;

  @Column('integer', { name: 'submission_attempts', default: 0 })
  submissionAttempts: number;

  @Column('timestamptz', { name: 'submission_next_try_at', nullable: true })
  submissionNextTryAt: Date | null;

  @Column('text', { name: 'submission_last_error', nullable: true })
  submissionLastError: string | null;

  @Column('timestamptz', { name: 'cancel_requested_at', nullable: true })
  cancelRequestedAt: Date | null;

  @Column('text', { name: 'cancel_reason', nullable: true })
  cancelReason: string | null;

  @Column('smallint', { name: 'cancel_state', default: 0 })
  cancelState: HandoffState;

  @Column('integer', { name: 'cancel_attempts', default: 0 })
  cancelAttempts: number;

  @Column('timestamptz', { name: 'cancel_next_try_at', nullable: true })
  cancelNextTryAt: Date | null;

  @Column('text', { name: 'cancel_last_error', nullable: true })
  cancelLastError: string | null;

  @Column('text', { name: 'traceparent', nullable: true })
  traceparent: string | null;

  @Column('timestamptz', { name: 'created_at', default: () => `date_trunc('milliseconds', clock_timestamp())` })
  createdAt: Date;

  @Column('timestamptz', { name: 'started_at', nullable: true })
  startedAt: Date | null;

  @Column('timestamptz', { name: 'finished_at', nullable: true })
  finishedAt: Date | null;
}
