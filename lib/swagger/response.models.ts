import { ApiProperty, ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';
import {
  CANCEL_TASK_STATUSES,
  TASK_CLIENT_ACTION_STATUSES,
  TASK_STATUSES,
  type ActionReceiptView,
  type AttachmentView,
  type CancelTaskStatus,
  type ErrorEnvelope,
  type JsonObject,
  type TaskClientActionStatus,
  type TaskProgressPayload,
  type TaskListItem as TaskListItemView,
  type TaskStatus,
} from '@taskbridge/protocol';
import { ANY_JSON, EVENT_ID, FailedPayload, SuspendedPayload, TaskEvent, TIME } from './event.models.js';

const FREE_OBJECT = { type: 'object', additionalProperties: true } as const;
/** Spelled out, because a reference cannot be null as well. */
const PROGRESS: ApiPropertyOptions = {
  type: 'object',
  properties: {
    progress: { type: 'number', minimum: 0, maximum: 100 },
    stage: { type: 'string' },
    message: { type: 'string' },
  },
  required: ['progress'],
  nullable: true,
  description: 'The latest; null before the first.',
};
const STATUS: ApiPropertyOptions = { type: 'string', enum: [...TASK_STATUSES] };

export class TaskCreatedResponse {
  @ApiProperty()
  taskId: string;

  @ApiProperty(STATUS)
  status: TaskStatus;

  @ApiProperty()
  clientRequestId: string;

  @ApiPropertyOptional({ default: false })
  deduplicated?: boolean;
}

export class StreamTicketResponse {
  @ApiProperty({ description: 'A secret; presenting it spends it.' })
  ticket: string;

  @ApiProperty()
  taskId: string;

  @ApiProperty(TIME)
  expiresAt: string;
}

export class PollEventsResponse {
  @ApiProperty()
  taskId: string;

  @ApiProperty({ type: [TaskEvent] })
  events: TaskEvent[];

  @ApiPropertyOptional({ ...EVENT_ID, nullable: true })
  nextAfterEventId?: string | null;

  @ApiProperty({ description: 'More events exist already.' })
  hasMore: boolean;
}

export class CancelTaskResponse {
  @ApiProperty()
  taskId: string;

  @ApiProperty({ type: 'string', enum: [...CANCEL_TASK_STATUSES] })
  status: CancelTaskStatus;
}

export class TaskClientActionResponse {
  @ApiProperty()
  taskId: string;

  @ApiProperty()
  suspendId: string;

  @ApiProperty()
  clientActionId: string;

  @ApiProperty({ type: 'string', enum: [...TASK_CLIENT_ACTION_STATUSES] })
  status: TaskClientActionStatus;
}

export class TaskListItem implements TaskListItemView {
  @ApiProperty()
  taskId: string;

  @ApiProperty()
  taskType: string;

  @ApiProperty()
  clientRequestId: string;

  @ApiProperty(STATUS)
  status: TaskStatus;

  @ApiProperty({ description: 'At least one question is open.' })
  waiting: boolean;

  @ApiProperty(TIME)
  createdAt: string;

  @ApiProperty({ ...TIME, nullable: true })
  finishedAt: string | null;

  @ApiProperty({ ...EVENT_ID, nullable: true })
  lastEventId: string | null;
}

export class TaskListResponse {
  @ApiProperty({ type: [TaskListItem] })
  items: TaskListItem[];

  @ApiProperty({ type: 'string', nullable: true, description: 'Opaque; null on the last page.' })
  nextCursor: string | null;
}

export class OpenSuspension extends SuspendedPayload {
  @ApiProperty(TIME)
  createdAt: string;
}

export class ActionReceipt implements ActionReceiptView {
  @ApiProperty()
  clientActionId: string;

  @ApiProperty()
  suspendId: string;

  @ApiProperty()
  actionType: string;

  @ApiProperty(TIME)
  acceptedAt: string;

  @ApiProperty({ type: 'string', nullable: true, description: 'null where expiry took the default action.' })
  acceptedBy: string | null;
}

export class Attachment implements AttachmentView {
  @ApiProperty()
  attachmentId: string;

  @ApiProperty()
  name: string;

  @ApiProperty()
  contentType: string;

  @ApiProperty({ type: 'integer', minimum: 0 })
  sizeBytes: number;

  @ApiProperty({ pattern: '^[0-9a-f]{64}$' })
  sha256: string;
}

export class Cancellation {
  @ApiProperty()
  reason: string;

  @ApiProperty(TIME)
  requestedAt: string;
}

/** A task as of `lastEventId`. */
export class TaskSnapshot {
  @ApiProperty()
  taskId: string;

  @ApiProperty()
  taskType: string;

  @ApiProperty()
  clientRequestId: string;

  @ApiProperty(STATUS)
  status: TaskStatus;

  @ApiProperty(TIME)
  createdAt: string;

  @ApiProperty({ ...TIME, nullable: true })
  finishedAt: string | null;

  @ApiProperty({ ...EVENT_ID, nullable: true })
  lastEventId: string | null;

  @ApiPropertyOptional(FREE_OBJECT)
  input?: JsonObject;

  @ApiProperty(FREE_OBJECT)
  metadata: JsonObject;

  @ApiPropertyOptional({ anyOf: ANY_JSON, description: 'There exactly when the task is COMPLETED.' })
  result?: unknown;

  @ApiPropertyOptional({ type: FailedPayload, description: 'There exactly when the task is FAILED.' })
  error?: FailedPayload;

  @ApiPropertyOptional({ type: Cancellation, description: 'Asked for, in effect or not.' })
  cancellation?: Cancellation;

  @ApiProperty({ type: [OpenSuspension] })
  openSuspensions: OpenSuspension[];

  @ApiProperty({ type: [ActionReceipt] })
  actions: ActionReceipt[];

  @ApiProperty({ type: [Attachment] })
  attachments: Attachment[];

  @ApiPropertyOptional(PROGRESS)
  progress?: TaskProgressPayload | null;
}

export class ErrorResponse implements ErrorEnvelope {
  @ApiProperty()
  code: string;

  @ApiProperty()
  message: string;

  @ApiPropertyOptional(FREE_OBJECT)
  details?: JsonObject;

  @ApiProperty(TIME)
  timestamp: string;
}

export class HealthResponse {
  @ApiProperty({ type: 'string', enum: ['ok'] })
  status: 'ok';
}

export class ReadinessCheckEntry {
  @ApiProperty()
  name: string;

  @ApiProperty()
  ok: boolean;

  @ApiPropertyOptional()
  detail?: string;
}

export class ReadinessResponse {
  @ApiProperty({ type: 'string', enum: ['ready', 'unavailable'] })
  status: 'ready' | 'unavailable';

  @ApiProperty({ type: [ReadinessCheckEntry] })
  checks: ReadinessCheckEntry[];
}
