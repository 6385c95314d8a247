import { TaskHandler, type TaskContext, type TaskRunner } from '@taskbridge/nestjs';
import { readIntegers } from './task-input.js';

const INPUT = { afterTicks: { min: 0, max: 10_000, default: 3 } };

/** Fails after `afterTicks` progress events: what a handler throws becomes the message of `TASK_FAILED`. */
@TaskHandler('demo.fail')
export class FailHandler implements TaskRunner {
  async run(task: TaskContext): Promise<never> {
    const { afterTicks } = readIntegers(task, INPUT);
    for (let tick = 1; tick <= afterTicks; tick++) {
      await task.progress((100 * tick) / (afterTicks + 1), { stage: 'ticking' });
    }
    throw new Error(`Failed on purpose after ${afterTicks} ticks`);
  }
}
