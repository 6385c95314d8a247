import { AttachmentChunkEntity } from './attachment-chunk.entity.js';
import { AttachmentEntity } from './attachment.entity.js';
import { ReceiptEntity } from './receipt.entity.js';
import { RunnerProcessEntity } from './runner-process.entity.js';
import { StreamTicketEntity } from './stream-ticket.entity.js';
import { SuspensionEntity } from './suspension.entity.js';
import { TaskEventEntity } from './task-event.entity.js';
import { TaskEntity } from './task.entity.js';

/**
 * The library's tables as entities, for a host's own queries: read them, never save them, because a status that changes
 * without its event breaks the log. They opt out of `synchronize`; only the migrations create and change the tables.
 */
export const TASKBRIDGE_ENTITIES = [
  TaskEntity,
  TaskEventEntity,
  SuspensionEntity,
  ReceiptEntity,
  RunnerProcessEntity,
  AttachmentEntity,
  AttachmentChunkEntity,
  StreamTicketEntity,
] as const;
