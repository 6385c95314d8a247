import type { JsonObject, TaskClientAction } from '@taskbridge/protocol';
import { LIMITS } from '../../services/command-checks.js';
import { IsJsonObject, IsText, Optional } from './field-rules.js';

/** Body of `POST tasks/:taskId/actions`. */
export class SubmitActionDto implements TaskClientAction {
  @IsText(LIMITS.identifier)
  clientActionId: string;

  @IsText(LIMITS.identifier)
  suspendId: string;

  @IsText(LIMITS.actionType)
  actionType: string;

  @Optional()
  @IsJsonObject()
  payload?: JsonObject;

  @Optional()
  @IsJsonObject()
  metadata?: JsonObject;
}
