import { Column, Entity, PrimaryColumn } from 'typeorm';

/** A slice of an attachment's bytes; the slices in the order of `chunkNo`, from 0, are the file. */
@Entity({ name: 'taskbridge_attachment_chunks', synchronize: false })
export class AttachmentChunkEntity {
  @PrimaryColumn('uuid', { name: 'attachment_id', primaryKeyConstraintName: 'taskbridge_attachment_chunks_pk' })
  attachmentId: string;

  @PrimaryColumn('integer', { name: 'chunk_no', primaryKeyConstraintName: 'taskbridge_attachment_chunks_pk' })
  chunkNo: number;

  @Column('bytea', { name: 'data' })
  data: Buffer;
}
