import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';
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
  let url: string | undefined;
  let children: ChildProcess[];
  /** What they wrote to their standard error. */
  let complaints: string;

  beforeEach(async () => {
    mkdirSync('.data', { recursive: true });
    root = mkdtempSync(path.resolve('.data', 'local-store-readme-'));
    folder = root;
    receiver = new FlakyReceiver();
    url = await receiver.listen();
    children = [];
    complaints = '';
  });

  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    await receiver.close();
    rmSync(root, { recursive: true });
  });

  const run = (program: string, ...args: string[]): ChildProcess => {
    const child = spawn(
      process.execPath,
      ['--no-warnings', '--import', path.resolve('test/support/typescript-loader.mjs'), program, ...args],
      {
        env: { PATH: process.env['PATH'], TASKBRIDGE_STATE_PATH: folder, RECEIVER_URL: url },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    children.push(child);
    child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
    return child;
  };

  const output = (taskId: string): string =>
    [...receiver.messages.values()]
      .filter((message) => message.taskId === taskId && message.type === 'output')
      .toSorted((a, b) => Number(a.sequence) - Number(b.sequence))
      .map(({ payload }) => Buffer.from(payload, 'base64').toString())
      .join('');

  it('runs a command and delivers its output once, through a receiver that refuses and drops', async () => {
    expect([await exitOf(run(WORKER, 'whole', ...COMMAND)), complaints]).toEqual([0, '']);
    expect(output('whole')).toBe(Array.from({ length: LINES }, (_, n) => `line ${n + 1}\n`).join(''));
    const finals = [...receiver.messages.values()].filter(({ type }) => type === 'final');
    expect(finals).toMatchObject([{ messageId: 'whole/attempt-1/final', status: 'completed', exitCode: 0 }]);
    expect([await exitOf(run(WORKER, 'whole', ...COMMAND)), complaints]).toEqual([0, '']);
    expect([...receiver.messages.values()].filter(({ type }) => type === 'final')).toHaveLength(1);
  });

  it('ends at once, and opens nothing, where it is not told who receives the results', async () => {
    for (const address of [undefined, 'not an address']) {
      url = address;
      complaints = '';
      expect(await exitOf(run(WORKER, 'whole', ...COMMAND))).toBe(1);
      expect(complaints).toContain('Set RECEIVER_URL');
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('sends a message again to a receiver that never answers', async () => {
    const ids: string[] = [];
    const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      ids.push((JSON.parse(await text(request)) as { messageId: string }).messageId);
      if (ids.length > 1) response.end('taken');
    };
    const hanging = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => hanging.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}`;
    try {
      expect([await exitOf(run(WORKER, 'again', 'echo', 'hello')), complaints]).toEqual([0, '']);
      expect(ids).toEqual(['again/attempt-1/stdout/1', 'again/attempt-1/stdout/1', 'again/attempt-1/final']);
    } finally {
      hanging.closeAllConnections();
      await new Promise((resolve) => hanging.close(resolve));
    }
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
      expect([await exitOf(run(WORKER, taskId, ...COMMAND)), complaints]).toEqual([0, '']);
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
      expect(await exitOf(program)).toBe(0);
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

async function exitOf(child: ChildProcess): Promise<number | null> {
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}
