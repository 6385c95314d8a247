import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDefault } from '@taskbridge/local-store';

const [taskId = 'task-1', command = 'date', ...args] = process.argv.slice(2);
const task = { taskId, executionAttemptId: 'attempt-1' };
const receiver = process.env['RECEIVER_URL'] ?? '';
if (!URL.canParse(receiver)) throw new Error('Set RECEIVER_URL to the address that takes the results');
const store = openDefault(); // TASKBRIDGE_STATE_PATH
store.markInterruptedRunningTasks(); // what ran when this process was killed

const isRunning = () => store.taskState(task.taskId, task.executionAttemptId)?.status === 'running';

function run() {
  store.recordStarted(task.taskId, task.executionAttemptId);
  const child = spawn(command, args);
  child.stdout.on('data', (payload) => store.appendOutputChunk({ ...task, stream: 'stdout', payload }));
  child.stderr.on('data', (payload) => store.appendOutputChunk({ ...task, stream: 'stderr', payload }));
  child.on('error', (error) => store.recordFinal({ ...task, status: 'failed', payload: error.message }));
  child.on('close', (exitCode, signal) => {
    if (!isRunning()) return; // it could not be started
    store.recordFinal({ ...task, status: exitCode === 0 ? 'completed' : 'failed', exitCode, payload: signal ?? '' });
  });
}

async function send(body: string) {
  const response = await fetch(receiver, { method: 'POST', body, signal: AbortSignal.timeout(5000) });
  await response.arrayBuffer();
  return response.ok;
}

async function deliver() {
  for (const { payload, ...message } of store.unackedMessages()) {
    const body = JSON.stringify({ ...message, payload: Buffer.from(payload).toString('base64') });
    if (!(await send(body).catch(() => false))) return; // the same message again, next time
    store.ackMessage(message.messageId);
  }
}

if (store.recordReceived(task).status === 'received') run();
while (isRunning() || store.spoolStatus().pendingMessages > 0) {
  await deliver();
  await sleep(20);
}
store.close();
