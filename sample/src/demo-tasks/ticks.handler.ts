import { setTimeout as sleep } from 'node:timers/promises';
import { TaskHandler, type TaskContext, type TaskRunner } from '@taskbridge/nestjs';
import { readIntegers } from './task-input.js';

const INPUT = {
  ticks: { min: 1, max: 100_000, default: 10 },
  delayMs: { min: 0, max: 60_000, default: 500 },
  payloadBytes: { min: 0, max: 60_000, default: 0 },
};

/** Reports `ticks` progress events, `delayMs` apart, each with a message padded to `payloadBytes`. */
@TaskHandler('demo.ticks', { concurrency: 200 })
export class TicksHandler implements TaskRunner {
  async run(task: TaskContext): Promise<{ ticks: number }> {
    const { ticks, delayMs, payloadBytes } = readIntegers(task, INPUT);
    for (let tick = 1; tick <= ticks; tick++) {
      await pause(delayMs, task.signal);
      const message = `tick ${tick} of ${ticks}`.padEnd(payloadBytes, '.');
      await task.progress((100 * tick) / ticks, { stage: 'ticking', message });
    }
    return { ticks };
  }
}

/** Without a delay it does not wait for a timer; either way it throws once the run is told to stop. */
async function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (delayMs > 0) await sleep(delayMs, undefined, { signal });
}
