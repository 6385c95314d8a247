import { setTimeout as sleep } from 'node:timers/promises';
import { TaskHandler } from '../../../lib/executors/task-handler.decorator.js';
import type { TaskAnswer, TaskContext, TaskHandlerOptions, TaskRunner } from '../../../lib/executors/task-handler.js';

// Handlers that may be interrupted as often as the faults like: whatever else ends their tasks is a finding.

const PATIENT: TaskHandlerOptions = { concurrency: 12, maxAttempts: 1_000, backoffMs: 50 };

/** `{steps, delayMs}`: reports each step. */
@TaskHandler('steps', PATIENT)
export class StepsHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    const steps = Number(task.input['steps'] ?? 5);
    for (let step = 1; step <= steps; step += 1) {
      await task.progress((step / steps) * 100, { message: `step ${step}` });
      await sleep(Number(task.input['delayMs'] ?? 20), undefined, { signal: task.signal });
    }
    return { steps };
  }
}

/** `{questions, expiresInMs?, onExpiry?}`: asks one question after the other and completes with the answers. */
@TaskHandler('questions', PATIENT)
export class QuestionsHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    await task.message('step 1');
    return this.ask(task, []);
  }

  async resume(task: TaskContext, answer: TaskAnswer): Promise<unknown> {
    const earlier = answer.state as unknown[];
    const answers = [...earlier, { suspendId: answer.suspendId, action: answer.actionType, payload: answer.payload }];
    await task.message(`step ${answers.length + 1}`);
    return answers.length < Number(task.input['questions'] ?? 1) ? this.ask(task, answers) : { answers };
  }

  private ask(task: TaskContext, state: unknown[]): unknown {
    const { expiresInMs, onExpiry } = task.input as { expiresInMs?: number; onExpiry?: 'fail' | 'cancel' };
    return task.suspend({
      suspendId: `q${state.length + 1}`,
      reasonCode: 'WHICH_WAY',
      allowedActions: ['left', 'right'],
      ...(expiresInMs !== undefined && { expiresInMs, onExpiry: onExpiry ?? { resume: 'left', payload: { n: 0 } } }),
      state,
    });
  }
}

/** Neither ends nor listens to anybody for a long time: only fences end its tasks. */
@TaskHandler('stubborn', PATIENT)
export class StubbornHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    await task.message('step 1');
    await sleep(60_000, undefined, { ref: false });
    return 'never seen';
  }
}

/** Takes longer than it may. */
@TaskHandler('overdue', { ...PATIENT, deadlineMs: 700 })
export class OverdueHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    await sleep(60_000, undefined, { signal: task.signal, ref: false });
    return 'never seen';
  }
}

/** Fails when its process dies. */
@TaskHandler('fragile', { ...PATIENT, onInterrupted: 'fail' })
export class FragileHandler extends OverdueHandler {}

/** One at a time, so that the others wait in the queue. */
@TaskHandler('single', { ...PATIENT, concurrency: 1 })
export class SingleHandler extends StepsHandler {}

export const FAULT_HANDLERS = [
  StepsHandler,
  QuestionsHandler,
  StubbornHandler,
  OverdueHandler,
  FragileHandler,
  SingleHandler,
];
