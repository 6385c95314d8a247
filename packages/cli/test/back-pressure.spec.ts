import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.js';
import { oneTo } from '../../../test/support/stream-clients.js';
import { EXIT_CODES } from '../src/exit-codes.js';
import { BuiltCli } from './support/built-cli.js';
import { StubServer } from './support/stub-server.js';

/** No pipe of any system holds a line of this. */
const LONG = 'x'.repeat(1_000_000);
const EVENTS = 20;
const HAD = 3;

/** The command, and somebody who reads no more of it than they are asked to. */
class StalledReader {
  private text = '';
  readonly ended: Promise<number | null>;

  constructor(readonly child: ChildProcessByStdio<null, Readable, null>) {
    child.stdout.setEncoding('utf8');
    this.ended = new Promise((resolve) => child.once('exit', resolve));
  }

  /** Of the events. */
  get lines(): string[] {
    return this.text.split('\n').filter((line) => line.includes(LONG));
  }

  /** Reads on until it has so many; the rest stays where it is. */
  async read(count: number): Promise<void> {
    await eventually(() => {
      if (this.lines.length < count) this.text += String(this.child.stdout.read() ?? '');
      return this.lines.length >= count;
    }, 30_000);
  }
}

describe.each([['--json'], ['--no-prompt']])('taskbridge tail --checkpoint %s whose reader stalls', (form) => {
  let cli: BuiltCli;
  let server: StubServer;
  let folder: string;
  let tails = 0;
  const readers: StalledReader[] = [];

  beforeAll(async () => {
    [cli, server] = await Promise.all([BuiltCli.build(), StubServer.listen()]);
    const events = oneTo(EVENTS).map((seq) => ({
      type: 'TASK_MESSAGE',
      taskId: 'a',
      eventId: `${seq}-0`,
      createdAt: new Date(0).toISOString(),
      payload: { level: 'info', message: `${seq}:${LONG}` },
    }));
    server.answers = {
      'GET /api/v1/tasks/a': { taskId: 'a', taskType: 'test', status: 'RUNNING', openSuspensions: [] },
      'GET /api/v1/tasks/a/events': ({ searchParams }: URL) => {
        const after = Number.parseInt(searchParams.get('afterEventId') ?? '0', 10);
        return { taskId: 'a', events: events.slice(after), nextAfterEventId: `${EVENTS}-0`, hasMore: false };
      },
    };
  });

  beforeEach(() => {
    tails += 1;
    folder = cli.newFolder(`stalled-${tails}`);
  });

  afterEach(() => {
    for (const { child } of readers.splice(0)) child.kill('SIGKILL');
  });

  afterAll(async () => {
    await server.close();
    await cli.remove();
  });

  const tail = (): StalledReader => {
    const args = [cli.bin, 'tail', 'a', form, '--checkpoint', folder, '--url', server.url];
    const reader = new StalledReader(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] }));
    readers.push(reader);
    return reader;
  };
  /** Of the last event that is remembered. */
  const remembered = async (): Promise<number> => {
    const names = (await readdir(folder).catch(() => [])).filter((name) => !name.endsWith('.tmp'));
    const texts = await Promise.all(names.map((name) => readFile(path.join(folder, name), 'utf8')));
    return Math.max(0, ...texts.map((text) => Number(/^(\d+)-0$/.exec(text)?.[1] ?? 0)));
  };
  /** The same once it stays: what is never taken cannot be waited for. */
  const rememberedInTheEnd = async (): Promise<number> => {
    let last = -1;
    let sinceMs = performance.now();
    await eventually(async () => {
      const seq = await remembered();
      if (seq !== last) sinceMs = performance.now();
      last = seq;
      return seq > 0 && performance.now() - sinceMs > 500;
    }, 30_000);
    return last;
  };

  it('remembers no event that has not been handed on whole', async () => {
    const reader = tail();
    await reader.read(HAD);
    expect(await rememberedInTheEnd()).toBeLessThanOrEqual(HAD);
    await reader.read(HAD + 1);
    await eventually(async () => (await remembered()) >= HAD, 30_000);
    expect(await rememberedInTheEnd()).toBeLessThanOrEqual(HAD + 1);
  });

  it('takes nothing more once the reader has gone, and begins there the next time', async () => {
    const first = tail();
    await first.read(HAD);
    await rememberedInTheEnd();
    first.child.stdout.destroy();
    expect(await first.ended).toBe(EXIT_CODES.unread);
    const seq = await remembered();
    expect(seq).toBeLessThanOrEqual(HAD);
    const second = tail();
    await second.read(1);
    expect(second.lines[0]).toContain(`${seq + 1}:x`);
  });

  it('remembers nothing more when it is told twice to end', async () => {
    const reader = tail();
    await reader.read(HAD);
    await rememberedInTheEnd();
    reader.child.kill('SIGTERM');
    await expect(Promise.race([reader.ended, eventually(() => false, 500)])).rejects.toThrow();
    reader.child.kill('SIGTERM');
    expect(await reader.ended).toBe(EXIT_CODES.interrupted);
    expect(await remembered()).toBeLessThanOrEqual(HAD);
  });
});
