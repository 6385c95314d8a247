import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { FlakyReceiver } from '../../../sample/local-store/receiver.js';
import { eventually } from '../../../test/support/eventually.js';
import { SeededRandom } from '../../../test/faults/support/random.js';
import { LocalStoreError } from '@taskbridge/local-store';
import * as errors from '../src/errors.js';

const LINES = 6;
const COMMAND = ['sh', '-c', `for n in $(seq ${LINES}); do echo line $n; sleep 0.05; done`];
const WORKER = 'sample/local-store/worker.ts';

describe('the sample and the README', () => {
  const readme = readFileSync('packages/local-store/README.md', 'utf8');
  /** Removed afterwards; the state is in it. */
  let root: string;
  let folder: string;
  let receiver: FlakyReceiver;
  let url: string;

  beforeEach(async () => {
    mkdirSync('.data', { recursive: true });
    root = mkdtempSync(path.resolve('.data', 'local-store-readme-'));
    folder = root;
    receiver = new FlakyReceiver();
    url = await receiver.listen();
  });

  afterEach(async () => {
    await receiver.close();
    rmSync(root, { recursive: true });
  });

  const run = (program: string, ...args: string[]): ChildProcess =>
    spawn(
      process.execPath,
      ['--no-warnings', '--import', path.resolve('test/support/typescript-loader.mjs'), program, ...args],
      {
        env: { PATH: process.env['PATH'], TASKBRIDGE_STATE_PATH: folder, RECEIVER_URL: url },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );

  const output = (taskId: string): string =>
    [...receiver.messages.values()]
      .filter((message) => message.taskId === taskId && message.type === 'output')
      .toSorted((a, b) => Number(a.sequence) - Number(b.sequence))
      .map(({ payload }) => Buffer.from(payload, 'base64').toString())
      .join('');

  it('runs a command and delivers its output once, through a receiver that refuses and drops', async () => {
    const [code] = await once(run(WORKER, 'whole', ...COMMAND), 'exit');
    expect(code).toBe(0);
    expect(output('whole')).toBe(Array.from({ length: LINES }, (_, n) => `line ${n + 1}\n`).join(''));
    const finals = [...receiver.messages.values()].filter(({ type }) => type === 'final');
    expect(finals).toMatchObject([{ messageId: 'whole/attempt-1/final', status: 'completed', exitCode: 0 }]);
    const [again] = await once(run(WORKER, 'whole', ...COMMAND), 'exit');
    expect(again).toBe(0);
    expect([...receiver.messages.values()].filter(({ type }) => type === 'final')).toHaveLength(1);
  });

  it('delivers a prefix of the output and one final after kill -9', async () => {
    const random = new SeededRandom(7);
    const tasks = ['a', 'b', 'c', 'd'];
    for (const [index, taskId] of tasks.entries()) {
      const known = receiver.messages.size;
      const worker = run(WORKER, taskId, ...COMMAND);
      // The first is killed wherever it is at that time, the others in the middle of their output.
      if (index === 0) await new Promise((resolve) => setTimeout(resolve, random.int(300, 900)));
      else
        await eventually(() => receiver.messages.size > known + random.int(0, 2) || worker.exitCode !== null, 30_000);
      worker.kill('SIGKILL');
      if (worker.exitCode === null && worker.signalCode === null) await once(worker, 'exit');
      const [code] = await once(run(WORKER, taskId, ...COMMAND), 'exit');
      expect(code).toBe(0);
      const finals = [...receiver.messages.values()].filter(
        (message) => message.taskId === taskId && message.type === 'final',
      );
      expect(finals).toHaveLength(1);
      const whole = Array.from({ length: LINES }, (_, n) => `line ${n + 1}\n`).join('');
      if (finals[0]?.status === 'completed') expect(output(taskId)).toBe(whole);
      else expect(whole.startsWith(output(taskId))).toBe(true);
    }
  });

  it('shows the sample as it is, and settings that work as they stand', async () => {
    const snippets = new Map(
      [...readme.matchAll(/```ts file=(\S+)\n([\s\S]*?)```/g)].map(([, name, code]) => [name, code]),
    );
    expect(snippets.get('worker.ts')).toBe(readFileSync(WORKER, 'utf8'));
    for (const [name, code] of snippets) {
      if (name === undefined || code === undefined || name === 'worker.ts') continue;
      const file = path.join(root, name);
      writeFileSync(file, code);
      folder = mkdtempSync(path.join(root, 'state-'));
      const program = run(file);
      let printed = '';
      program.stdout?.on('data', (chunk: Buffer) => (printed += chunk.toString()));
      const [exit] = await once(program, 'close');
      expect(exit).toBe(0);
      const [, expected] = /prints: (.*)/.exec(code) ?? [];
      expect(printed.trim()).toBe(expected);
    }
  });

  it('lists every error code once', () => {
    const listed = [...readme.matchAll(/^\| `([A-Z_]+)`/gm)].map(([, code]) => code);
    const classes = Object.values(errors).filter((one) => typeof one === 'function' && one !== LocalStoreError);
    expect(listed.toSorted()).toEqual([...new Set(listed)].toSorted());
    expect(listed).toHaveLength(classes.length);
    const source = readFileSync('packages/local-store/src/errors.ts', 'utf8');
    for (const code of listed) expect(source).toContain(`readonly code = '${code}'`);
  });
});
