import { writeSync } from 'node:fs';
import { openLocalTaskStore } from '../../src/index.js';

// A worker at work: recovers, then takes, runs, streams, ends and delivers tasks as its seed says. Announces each step
// before it and after it, one JSON line each, written before the step goes on. Never ends by itself.

const [file = '', seedText = '0', life = '0', capText = '4000'] = process.argv.slice(2);
let state = Number(seedText) >>> 0;

function random(below: number): number {
  state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5) >>> 0;
  return ((state ^ (state >>> 13)) >>> 0) % below;
}

function step<T>(kind: string, facts: object, work: () => T): T {
  writeSync(1, `${JSON.stringify({ kind, at: 'before', ...facts })}\n`);
  const result = work();
  writeSync(1, `${JSON.stringify({ kind, at: 'after', ...facts })}\n`);
  return result;
}

const store = step('open', {}, () =>
  openLocalTaskStore({ path: file, spoolCapBytes: Number(capText), terminalReserveBytes: 200, busyTimeoutMs: 5000 }),
);
step('recover', {}, () => store.markInterruptedRunningTasks());

for (let number = 0; number < 1000; number += 1) {
  const taskId = `task-${life}-${number}`;
  const executionAttemptId = 'attempt-1';
  const task = { taskId, executionAttemptId };
  const { openTasks } = store.snapshot().spool;
  if (openTasks < 10) step('receive', { taskId }, () => store.recordReceived(task));
  const received = store.snapshot().received.map((one) => one.taskId);
  const running = store.snapshot().running.map((one) => one.taskId);
  const next = received[random(received.length + 1)];
  if (next !== undefined) {
    step('start', { taskId: next }, () => store.recordStarted(next, executionAttemptId));
    running.push(next);
  }
  for (let chunks = random(6); chunks > 0; chunks -= 1) {
    const runs = running[random(running.length)];
    if (runs === undefined) break;
    const stream = random(3) === 0 ? 'stderr' : 'stdout';
    const payload = 'x'.repeat(random(300));
    step('chunk', { taskId: runs, stream, payload }, () =>
      store.appendOutputChunk({ taskId: runs, executionAttemptId, stream, payload }),
    );
  }
  const ends = running[random(running.length + 1)];
  if (ends !== undefined) {
    const result = {
      taskId: ends,
      executionAttemptId,
      status: 'completed',
      exitCode: 0,
      payload: 'y'.repeat(random(300)),
    };
    step('final', { taskId: ends }, () => store.recordFinal(result));
  }
  for (const { messageId } of store.unackedMessages()) {
    if (random(3) === 0) break;
    step('ack', { messageId }, () => store.ackMessage(messageId));
  }
}
