import { TaskHandler } from '../../../lib/executors/task-handler.decorator.js';
import type { TaskAnswer, TaskContext, TaskRunner } from '../../../lib/executors/task-handler.js';

/** Asks `first`, `second` and `last` at once, and completes with the answer to the last one. */
@TaskHandler('questions')
export class QuestionsHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    return task.suspend(
      ['first', 'second', 'last'].map((reasonCode) => ({ reasonCode, allowedActions: [reasonCode] })),
    );
  }

  async resume(task: TaskContext, { actionType }: TaskAnswer): Promise<unknown> {
    return actionType === 'last' ? { done: true } : task.keepWaiting();
  }
}
