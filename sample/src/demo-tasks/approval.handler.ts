import {
  TaskHandler,
  type TaskAnswer,
  type TaskContext,
  type TaskRunner,
  type WaitingOutcome,
} from '@taskbridge/nestjs';
import { readIntegers } from './task-input.js';

/** Waits for somebody to approve or reject, for as long as it takes, and completes with the decision. */
@TaskHandler('demo.approval')
export class ApprovalHandler implements TaskRunner {
  async run(task: TaskContext): Promise<WaitingOutcome> {
    readIntegers(task, {});
    return task.suspend({
      reasonCode: 'APPROVAL_NEEDED',
      allowedActions: ['approve', 'reject'],
      uiHints: { title: 'Approve this request?' },
    });
  }

  async resume(_task: TaskContext, answer: TaskAnswer): Promise<{ decision: string; decidedBy: string | null }> {
    return { decision: answer.actionType, decidedBy: answer.acceptedBy };
  }
}
