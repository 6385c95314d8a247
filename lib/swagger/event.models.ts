import {
  ApiExtraModels,
  ApiProperty,
  ApiPropertyOptional,
  type ApiPropertyOptions,
  getSchemaPath,
} from '@nestjs/swagger';
import {
  SUSPENSION_KINDS,
  TASK_EVENT_TYPES,
  TASK_MESSAGE_LEVELS,
  type JsonObject,
  type SuspensionKind,
  type TaskActionAcceptedPayload,
  type TaskCancelledPayload,
  type TaskEventType,
  type TaskFailedPayload,
  type TaskMessageLevel,
  type TaskMessagePayload,
  type TaskProgressPayload,
  type TaskStartedPayload,
  type TaskSuspendedPayload,
} from '@taskbridge/protocol';

/** What a cursor looks like; the server writes it with `-0`. */
export const EVENT_ID = { type: 'string', pattern: '^\\d{1,15}(-0)?$' } as const;
/** RFC 3339 in UTC. */
export const TIME = { type: 'string', format: 'date-time' } as const;
/** Any JSON value, in the words of OpenAPI 3.0. */
export const ANY_JSON: NonNullable<ApiPropertyOptions['anyOf']> = [
  { type: 'object', additionalProperties: true, nullable: true },
  { type: 'array', items: {} },
  { type: 'string' },
  { type: 'number' },
  { type: 'boolean' },
];
const FREE_OBJECT = { type: 'object', additionalProperties: true } as const;

export class StartedPayload implements TaskStartedPayload {
  @ApiPropertyOptional()
  message?: string;
}

export class ProgressPayload implements TaskProgressPayload {
  @ApiProperty({ minimum: 0, maximum: 100 })
  progress: number;

  @ApiPropertyOptional()
  stage?: string;

  @ApiPropertyOptional()
  message?: string;
}

export class MessagePayload implements TaskMessagePayload {
  @ApiProperty()
  message: string;

  @ApiPropertyOptional({ type: 'string', enum: [...TASK_MESSAGE_LEVELS], description: 'Absent means info.' })
  level?: TaskMessageLevel;
}

/** A question the task waits on. */
export class SuspendedPayload implements TaskSuspendedPayload {
  @ApiProperty()
  suspendId: string;

  @ApiProperty({ type: 'string', enum: [...SUSPENSION_KINDS] })
  kind: SuspensionKind;

  @ApiProperty()
  reasonCode: string;

  @ApiProperty({ type: 'array', items: { type: 'string' }, minItems: 1 })
  allowedActions: string[];

  @ApiProperty({ type: 'integer', minimum: 1 })
  schemaVersion: number;

  @ApiPropertyOptional({ ...TIME, nullable: true })
  expiresAt?: string | null;

  @ApiPropertyOptional(FREE_OBJECT)
  uiHints?: JsonObject;

  @ApiPropertyOptional({ ...FREE_OBJECT, description: 'actionSchemas holds a JSON Schema per action.' })
  interaction?: JsonObject;
}

export class ActionAcceptedPayload implements TaskActionAcceptedPayload {
  @ApiProperty()
  suspendId: string;

  @ApiProperty()
  clientActionId: string;

  @ApiProperty()
  actionType: string;

  @ApiProperty(TIME)
  acceptedAt: string;

  @ApiPropertyOptional()
  message?: string;
}

export class CompletedPayload {
  @ApiProperty({ anyOf: ANY_JSON })
  result: unknown;
}

export class FailedPayload implements TaskFailedPayload {
  @ApiProperty()
  code: string;

  @ApiProperty()
  message: string;

  @ApiProperty()
  retryable: boolean;
}

export class CancelledPayload implements TaskCancelledPayload {
  @ApiProperty()
  reason: string;

  @ApiPropertyOptional()
  message?: string;
}

const PAYLOADS = [
  StartedPayload,
  ProgressPayload,
  MessagePayload,
  SuspendedPayload,
  ActionAcceptedPayload,
  CompletedPayload,
  FailedPayload,
  CancelledPayload,
];

/** One entry of a task's log, the same on every transport. */
@ApiExtraModels(...PAYLOADS)
export class TaskEvent {
  @ApiProperty({ type: 'string', enum: [...TASK_EVENT_TYPES] })
  type: TaskEventType;

  @ApiProperty()
  taskId: string;

  @ApiProperty({ ...EVENT_ID, description: 'Position in the log, and the cursor to resume after it.' })
  eventId: string;

  @ApiProperty(TIME)
  createdAt: string;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    anyOf: PAYLOADS.map((model) => ({ $ref: getSchemaPath(model) })),
  })
  payload: object;
}
