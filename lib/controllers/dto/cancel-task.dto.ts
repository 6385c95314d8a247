import type { CancelTaskRequest } from '@taskbridge/protocol';
import { LIMITS } from '../../services/command-checks.js';
import { IsText, Optional } from './field-rules.js';

/** Body of `POST tasks/:taskId/cancel`; an absent body is an empty one. */
export class CancelTaskDto implements CancelTaskRequest {
  @Optional()
  @IsText(LIMITS.reason)
  reason?: string;
}
