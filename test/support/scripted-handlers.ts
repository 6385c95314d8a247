import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskAnswer, TaskContext, TaskRunner } from '../../lib/executors/task-handler.js';

/** `{ticks, delayMs}`: reports that many progress events, then completes. */
@TaskHandler('ticks', { concurrency: 300 })
export class TicksHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    const ticks = Number(task.input['ticks'] ?? 10);
    const delayMs = Number(task.input['delayMs'] ?? 0);
    for (let tick = 1; tick <= ticks; tick += 1) {
      task.signal.throwIfAborted();
      await task.progress((tick / ticks) * 100, { stage: 'ticking', message: `tick ${tick}` });
      if (delayMs > 0) await pause(delayMs, task.signal);
    }
    return { ticks };
  }
}

/** Fails after its first progress. */
@TaskHandler('fail')
export class FailHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    await task.progress(1);
    throw new Error('the work cannot be done');
  }
}

/** Reports, asks for `approve` or `reject`, and completes with the answer. */
@TaskHandler('approval')
export class ApprovalHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    await task.message('about to ask', 'debug');
    return task.suspend({
      reasonCode: 'approval',
      allowedActions: ['approve', 'reject'],
      interaction: { question: 'May it go on?' },
      uiHints: { presentation: 'dialog' },
      actionSchemas: { approve: { type: 'object', properties: { note: { type: 'string' } }, required: ['note'] } },
      expiresInMs: 3_600_000,
      state: { asked: true },
    });
  }

  async resume(_task: TaskContext, answer: TaskAnswer): Promise<unknown> {
    return { action: answer.actionType, by: answer.acceptedBy, state: answer.state };
  }
}

export const SCRIPTED_HANDLERS = [TicksHandler, FailHandler, ApprovalHandler];

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = (): void => {
      clearTimeout(timer);
      reject(new Error(`stopped: ${String(signal.reason)}`));
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
