import { TASK_STATUSES, type TaskStatus } from '@taskbridge/protocol';
import { LIMITS } from '../../services/command-checks.js';
import { IsIntegerIn, IsOneOf, IsText, Optional } from './field-rules.js';

/** Query of `GET tasks`; the page `cursor` is checked apart, because it has a code of its own. */
export class ListTasksQueryDto {
  @Optional()
  @IsOneOf(TASK_STATUSES)
  status?: TaskStatus;

  @Optional()
  @IsText(LIMITS.taskType)
  taskType?: string;

  /** With an open question, or without one. */
  @Optional()
  @IsOneOf([true, false])
  waiting?: boolean;

  @Optional()
  @IsIntegerIn(1, 200)
  limit?: number;
}
