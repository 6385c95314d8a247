import type { JsonObject, TaskCreateRequest } from '@taskbridge/protocol';
import { LIMITS } from '../../services/command-checks.js';
import { IsJsonObject, IsText, Optional } from './field-rules.js';

/** Body of `POST tasks`, and what the form fields of a multipart create amount to. */
export class CreateTaskDto implements TaskCreateRequest {
  @IsText(LIMITS.identifier)
  clientRequestId: string;

  @IsText(LIMITS.taskType)
  taskType: string;

  @Optional()
  @IsJsonObject()
  input?: JsonObject;

  @Optional()
  @IsJsonObject()
  metadata?: JsonObject;
}
