import type { TaskContext } from '@taskbridge/nestjs';

/** The part of the whole task that a stage stands for, in percent. */
export interface Stage {
  stage: string;
  from: number;
  to: number;
}

/** Reports a stage's progress in whole percents, so that the length of the log does not depend on the file's. */
export class ProgressSteps {
  private reported = -1;

  constructor(
    private readonly task: TaskContext,
    private readonly stage: Stage,
  ) {}

  /** `position` is the part of the stage that is done, from 0 to 1. */
  async reach(position: number): Promise<void> {
    const { stage, from, to } = this.stage;
    const percent = Math.floor(from + (to - from) * position);
    if (percent <= this.reported) return;
    this.reported = percent;
    await this.task.progress(percent, { stage });
  }
}
