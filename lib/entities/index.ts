export { AttachmentChunkEntity } from './attachment-chunk.entity.js';
export { AttachmentEntity } from './attachment.entity.js';
export { ReceiptEntity } from './receipt.entity.js';
export { RunnerProcessEntity } from './runner-process.entity.js';
export { SuspensionEntity } from './suspension.entity.js';
export { TaskEventEntity } from './task-event.entity.js';
export { TaskEntity } from './task.entity.js';
export { TASKBRIDGE_ENTITIES } from './taskbridge-entities.js';
