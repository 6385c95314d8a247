import { setTimeout as sleep } from 'node:timers/promises';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskContext } from '../../lib/executors/task-handler.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { messageOf } from '../../lib/taskbridge.errors.js';
import { aborted, TaskInstance } from './task-instance.js';

/** What a worker process tells the test that forked it. */
export type WorkerMessage =
  | { kind: 'ready' }
  | { kind: 'running'; taskId: string; attempt: number }
  | { kind: 'aborted'; taskId: string; reason: unknown; refused: unknown };

const tell = (message: WorkerMessage): void => void process.send?.(message);

/** Runs until it is told to stop, then says why and whether it could still report. */
@TaskHandler('job')
class JobHandler {
  run = (task: TaskContext): Promise<unknown> => holdOn(task);
  resume = (task: TaskContext): Promise<unknown> => holdOn(task);
}

/** Takes a while and reports on the way; ends however often it is interrupted. */
@TaskHandler('steps', { concurrency: 8, maxAttempts: 1_000, backoffMs: 50 })
class StepsHandler {
  run = async (task: TaskContext): Promise<unknown> => {
    for (let step = 1; step <= 5; step += 1) {
      await task.progress(step * 20);
      await sleep(40);
    }
    return { steps: 5 };
  };
}

async function holdOn(task: TaskContext): Promise<unknown> {
  const { taskId, attempt } = task;
  tell({ kind: 'running', taskId, attempt });
  const reason = await aborted(task.signal);
  const refused = await task.progress(99).then(
    () => null,
    (error: { code?: string }) => error.code ?? messageOf(error),
  );
  tell({ kind: 'aborted', taskId, reason, refused });
  throw new Error('stopped');
}

const [, , url = '', options = '{}'] = process.argv;
const instance = await TaskInstance.open({ url }, [JobHandler, StepsHandler], JSON.parse(options) as TaskBridgeOptions);
process.once('SIGTERM', () => void instance.close().then(() => process.exit(0)));
tell({ kind: 'ready' });
