import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import { bigintAsNumber } from './column-transformers.js';

/** A file that came with a task; without a task it is staged by an upload under way. */
@Entity({ name: 'taskbridge_attachments', synchronize: false })
@Index('taskbridge_attachments_task_ix', { synchronize: false })
export class AttachmentEntity {
  @PrimaryColumn('uuid', { name: 'attachment_id', primaryKeyConstraintName: 'taskbridge_attachments_pk' })
  attachmentId: string;

  @Column('uuid', { name: 'task_id', nullable: true })
  taskId: string | null;

  @Column('integer', { name: 'position' })
  position: number;

  @Column('text', { name: 'name' })
  name: string;

  @Column('text', { name: 'content_type' })
  contentType: string;

  @Column('bigint', { name: 'size_bytes', transformer: bigintAsNumber })
  sizeBytes: number;

  /** Lower-case hex. */
  @Column('text', { name: 'sha256' })
  sha256: string;

  @Column('timestamptz', { name: 'created_at' })
  createdAt: Date;
}
