import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskAnswer, TaskContext, TaskRunner } from '../../lib/executors/task-handler.js';

/** Ends at once with its input. */
@TaskHandler('echo')
export class EchoHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    return { input: task.input, files: await Promise.all(task.attachments.map(readText)) };
  }
}

/** Ends when it is cancelled. */
@TaskHandler('wait')
export class WaitHandler implements TaskRunner {
  run(task: TaskContext): Promise<unknown> {
    return new Promise((_resolve, reject) => {
      const stop = () => reject(new Error('stopped'));
      if (task.signal.aborted) stop();
      else task.signal.addEventListener('abort', stop, { once: true });
    });
  }
}

/** Asks for `approve` or `reject` as `question` and ends with the answer; `approve` takes an optional `note`. */
@TaskHandler('ask')
export class AskHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    const schema = { type: 'object', properties: { note: { type: 'string' } }, additionalProperties: false };
    return task.suspend({
      suspendId: 'question',
      reasonCode: 'APPROVAL',
      allowedActions: ['approve', 'reject'],
      actionSchemas: { approve: schema },
    });
  }

  async resume(_task: TaskContext, answer: TaskAnswer): Promise<unknown> {
    return { action: answer.actionType, payload: answer.payload, by: answer.acceptedBy };
  }
}

async function readText(file: {
  name: string;
  open(): AsyncIterable<Buffer>;
}): Promise<{ name: string; text: string }> {
  const chunks: Buffer[] = [];
  for await (const chunk of file.open()) chunks.push(chunk);
  return { name: file.name, text: Buffer.concat(chunks).toString('utf8') };
}

export const TEST_HANDLERS = [EchoHandler, WaitHandler, AskHandler];
