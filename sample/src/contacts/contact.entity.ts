import { Column, CreateDateColumn, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';

/** The application's own data, in its own table beside those of the library. */
@Entity('contacts')
@Unique('contacts_task_line_uq', ['taskId', 'line'])
export class Contact {
  @PrimaryGeneratedColumn('identity', { type: 'bigint', generatedIdentity: 'ALWAYS' })
  id: string;

  @Column('text', { name: 'owner_id' })
  ownerId: string;

  /** The import that wrote the row; with `line` it makes repeating an import harmless. */
  @Column('uuid', { name: 'task_id' })
  taskId: string;

  /** Line of the imported file on which the contact ends. */
  @Column('integer')
  line: number;

  @Column('text')
  name: string;

  @Column('text')
  email: string;

  @Column('text')
  phone: string;

  @Column('text')
  company: string;

  @CreateDateColumn({ type: 'timestamptz', name: 'created_at' })
  createdAt: Date;
}
