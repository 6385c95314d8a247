import type { GapMode } from '@taskbridge/protocol';
import { IsIntegerIn, IsOneOf, Optional } from './field-rules.js';

/** Query of `GET tasks/:taskId/events`; the cursor `afterEventId` is checked apart, because it has a code of its own. */
export class PollEventsQueryDto {
  /** 0 answers at once. */
  @Optional()
  @IsIntegerIn(0, 60_000)
  waitTimeoutMs?: number;

  @Optional()
  @IsIntegerIn(1, 500)
  maxEvents?: number;

  /** Refuses with `EVENT_GAP` where the log no longer reaches back to the cursor. */
  @Optional()
  @IsOneOf(['error'])
  gap?: GapMode;
}
