import type { GapMode } from '@taskbridge/protocol';
import { IsOneOf, Optional } from './field-rules.js';

/** Query of `GET tasks/:taskId/events/stream`; the cursor is checked apart, because it has a code of its own. */
export class StreamEventsQueryDto {
  /** Refuses with `EVENT_GAP` where the log no longer reaches back to the cursor. */
  @Optional()
  @IsOneOf(['error'])
  gap?: GapMode;
}
