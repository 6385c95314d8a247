import type { SuspensionKind } from '@taskbridge/protocol';
import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { JsonObject, OnExpiry, SuspensionStatus } from '../stores/records.js';
import { bigintAsNumber } from './column-transformers.js';

/** One question that a task asked, and how it was settled. */
@Entity({ name: 'taskbridge_suspensions', synchronize: false })
@Index('taskbridge_suspensions_expiry_ix', { synchronize: false })
export class SuspensionEntity {
  @PrimaryColumn('uuid', { name: 'task_id', primaryKeyConstraintName: 'taskbridge_suspensions_pk' })
  taskId: string;

  @PrimaryColumn('text', { name: 'suspend_id', primaryKeyConstraintName: 'taskbridge_suspensions_pk' })
  suspendId: string;

  /** Sequence number of its `TASK_SUSPENDED`. */
  @Column('bigint', { name: 'event_seq', transformer: bigintAsNumber })
  eventSeq: number;

  @Column('text', { name: 'kind' })
  kind: SuspensionKind;

  @Column('text', { name: 'reason_code' })
  reasonCode: string;

  @Column('json', { name: 'allowed_actions' })
  allowedActions: string[];

  @Column('integer', { name: 'schema_version' })
  schemaVersion: number;

  @Column('timestamptz', { name: 'expires_at', nullable: true })
  expiresAt: Date | null;

  @Column('json', { name: 'on_expiry' })
  onExpiry: OnExpiry;

  @Column('json', { name: 'ui_hints', nullable: true })
  uiHints: JsonObject | null;

  @Column('json', { name: 'interaction', nullable: true })
  interaction: JsonObject | null;

  @Column('json', { name: 'action_schemas', nullable: true })
  actionSchemas: Record<string, JsonObject> | null;

  @Column('json', { name: 'state', nullable: true })
  state: unknown;

  @Column('smallint', { name: 'status', default: 0 })
  status: SuspensionStatus;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;

  @Column('timestamptz', { name: 'resolved_at', nullable: true })
  resolvedAt: Date | null;

  /** `clientActionId` of the action that won. */
  @Column('text', { name: 'resolved_by', nullable: true })
  resolvedBy: string | null;
}
