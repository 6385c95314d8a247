import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type {
  CancelTaskRequest as CancelTaskBody,
  JsonObject,
  TaskClientAction,
  TaskCreateRequest,
} from '@taskbridge/protocol';

const FREE_OBJECT = { type: 'object', additionalProperties: true } as const;

/** Component of the JSON create. */
export class TaskCreateJsonRequest implements TaskCreateRequest {
  @ApiProperty({
    minLength: 1,
    maxLength: 255,
    description: 'Idempotency key within the caller; the header Idempotency-Key may stand in for it.',
  })
  clientRequestId: string;

  @ApiProperty({ minLength: 1, maxLength: 128, description: 'Which handler of the host runs the task.' })
  taskType: string;

  @ApiPropertyOptional(FREE_OBJECT)
  input?: JsonObject;

  @ApiPropertyOptional({ ...FREE_OBJECT, description: 'Not compared when the key is used again.' })
  metadata?: JsonObject;
}

/** Component of the create with files. */
export class TaskCreateMultipartRequest {
  @ApiProperty({ minLength: 1, maxLength: 255 })
  clientRequestId: string;

  @ApiProperty({ minLength: 1, maxLength: 128 })
  taskType: string;

  @ApiPropertyOptional({ description: 'A JSON object as text.' })
  input?: string;

  @ApiPropertyOptional({ description: 'A JSON object as text.' })
  metadata?: string;

  @ApiPropertyOptional({ type: 'string', format: 'binary', description: 'May be repeated.' })
  attachment?: unknown;

  @ApiPropertyOptional({ type: 'array', items: { type: 'string', format: 'binary' } })
  attachments?: unknown[];
}

/** Component of the cancel. */
export class CancelTaskRequest implements CancelTaskBody {
  @ApiPropertyOptional({ minLength: 1, maxLength: 1000, description: 'Returns in TASK_CANCELLED.' })
  reason?: string;
}

/** Component of the answer. */
export class TaskClientActionRequest implements TaskClientAction {
  @ApiProperty({ minLength: 1, maxLength: 255, description: 'Idempotency key of this answer.' })
  clientActionId: string;

  @ApiProperty({ minLength: 1, maxLength: 255 })
  suspendId: string;

  @ApiProperty({ minLength: 1, maxLength: 128, description: "One of the suspension's allowedActions." })
  actionType: string;

  @ApiPropertyOptional(FREE_OBJECT)
  payload?: JsonObject;

  @ApiPropertyOptional(FREE_OBJECT)
  metadata?: JsonObject;
}
