import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { FlakyReceiver } from './receiver.js';

// `npm run sample:local-store`: runs the worker, kills it in the middle of its command, and starts it again.

const SCRIPT = 'for n in 1 2 3 4 5 6 7 8; do echo line $n; sleep 0.1; done';
const KILL_AFTER_MESSAGES = 3;

const state = await mkdtemp(path.join(tmpdir(), 'taskbridge-worker-'));
const receiver = new FlakyReceiver();
const url = await receiver.listen();
const worker = fileURLToPath(new URL('worker.ts', import.meta.url));

const startWorker = (taskId: string) =>
  spawn(process.execPath, [...process.execArgv, worker, taskId, 'sh', '-c', SCRIPT], {
    env: { ...process.env, TASKBRIDGE_STATE_PATH: state, RECEIVER_URL: url },
    stdio: 'inherit',
  });

const killed = startWorker('killed');
const watch = setInterval(() => {
  if (receiver.messages.size >= KILL_AFTER_MESSAGES) killed.kill('SIGKILL');
}, 5);
await once(killed, 'exit');
clearInterval(watch);
console.log(`The worker was killed; the receiver has ${receiver.messages.size} messages.`);
await once(startWorker('killed'), 'exit');
await once(startWorker('undisturbed'), 'exit');
await receiver.close();
await rm(state, { recursive: true });

for (const { messageId, status, exitCode, payload } of receiver.messages.values()) {
  const content = Buffer.from(payload, 'base64').toString().trim();
  console.log(status === undefined ? `${messageId}: ${content}` : `${messageId}: ${status}, exit code ${exitCode}`);
}
console.log(`${receiver.duplicates} messages came twice and were kept once.`);
