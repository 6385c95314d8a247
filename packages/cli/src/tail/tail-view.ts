import type { TaskEvent, TaskGap } from '@taskbridge/client';

/** Shows a task's events as they come. */
export interface TailView {
  event(event: TaskEvent): void;
  gap(gap: TaskGap): void;
  /** Something that is not in the log. */
  note(text: string): void;
  /** Somebody else writes to the screen; what comes is kept until `release`. */
  hold(): void;
  release(): void;
  close(): void;
}
