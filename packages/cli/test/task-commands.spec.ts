import { spawn } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TaskEvent } from '@taskbridge/protocol';
import { TaskHandler } from '../../../lib/executors/task-handler.decorator.js';
import type { TaskContext, TaskRunner } from '../../../lib/executors/task-handler.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { createTestDatabase } from '../../../test/support/database.js';
import { eventually } from '../../../test/support/eventually.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';
import { oneTo, seqsOf } from '../../../test/support/stream-clients.js';
import { EXIT_CODES } from '../src/exit-codes.js';
import { BuiltCli } from './support/built-cli.js';

/** Says what a terminal must not obey, and asks two questions at once. */
@TaskHandler('odd')
class OddHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    await task.message('\u001B]0;owned\u0007\u001B[31mred\u009B2J\u202E', 'warning');
    return task.suspend(['first', 'second'].map((reasonCode) => ({ reasonCode, allowedActions: ['yes'] })));
  }

  async resume(task: TaskContext): Promise<unknown> {
    return task.keepWaiting();
  }
}

/** What a terminal would obey. */
const OBEYED = /[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/u;

const parse = (lines: string) =>
  lines
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as TaskEvent);

/** How many a folder holds, without the drafts that a killed process has left. */
const checkpoints = async (folder: string) => (await readdir(folder)).filter((name) => !name.endsWith('.tmp')).length;

describe('taskbridge', () => {
  let cli: BuiltCli;
  let host: TestApp;
  let env: Record<string, string>;

  beforeAll(async () => {
    [cli, host] = await Promise.all([
      BuiltCli.build(),
      startTestApp({ providers: [...SCRIPTED_HANDLERS, OddHandler] }),
    ]);
    env = { TASKBRIDGE_URL: host.url, TASKBRIDGE_TOKEN: 'ada' };
  });

  afterAll(async () => {
    await host.close();
    await cli.remove();
  });

  const taskbridge = (...args: string[]) => cli.run(args, env);
  const create = async (...args: string[]): Promise<string> => (await taskbridge('create', ...args)).stdout.trim();
  const waiting = (taskId: string) => host.as('ada').until(taskId, ({ openSuspensions }) => openSuspensions.length > 0);

  /** Until it has written so much; then it gets the signal. */
  const interrupted = async (args: string[], signal: NodeJS.Signals, hasEnough: (stdout: string) => boolean) => {
    const child = spawn(process.execPath, [cli.bin, ...args], { env });
    const ending = { code: -1, stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (ending.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (ending.stderr += text));
    await eventually(() => hasEnough(ending.stdout), 30_000);
    child.kill(signal);
    await new Promise((resolve) => child.once('close', (code) => resolve((ending.code = code ?? -1))));
    return ending;
  };

  describe('create', () => {
    it('prints the new task’s id, and the same one for the same request id', async () => {
      const args = ['ticks', '--input', '{"ticks":2}', '--metadata', '{"from":"cli"}', '--request-id', 'once'];
      const first = await taskbridge('create', ...args);
      expect(first).toMatchObject({ code: 0, stderr: '', stdout: expect.stringMatching(/^[\da-f-]{36}\n$/) });
      const again = await taskbridge('create', ...args, '--json');
      const taskId = first.stdout.trim();
      expect(JSON.parse(again.stdout)).toMatchObject({ taskId, deduplicated: true });
      expect(await host.as('ada').snapshot(taskId)).toMatchObject({ input: { ticks: 2 }, metadata: { from: 'cli' } });
    });

    it('takes its input from a file and from a pipe', async () => {
      const file = cli.newFolder('input.json');
      await writeFile(file, '{"ticks":3}');
      const fromFile = await create('ticks', '--input', `@${file}`);
      const fromPipe = (await cli.shell(`echo '{"ticks":4}' | taskbridge create ticks --input -`, env)).stdout.trim();
      expect((await host.as('ada').snapshot(fromFile)).input).toEqual({ ticks: 3 });
      expect((await host.as('ada').snapshot(fromPipe)).input).toEqual({ ticks: 4 });
    });

    it('sends files', async () => {
      const files = ['a.txt', 'b.txt'].map((name) => cli.newFolder(name));
      for (const file of files) await writeFile(file, file);
      const taskId = await create('ticks', ...files.flatMap((file) => ['--attach', file]));
      const { attachments } = await host.as('ada').snapshot(taskId);
      expect(attachments.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
        ['a.txt', files[0]?.length],
        ['b.txt', files[1]?.length],
      ]);
    });

    it('follows the task to its end where it is asked to', async () => {
      const { code, stdout } = await taskbridge('create', 'ticks', '--input', '{"ticks":4}', '--follow');
      expect(code).toBe(EXIT_CODES.completed);
      const [title, ...lines] = stdout.split('\n').map((line) => line.replace(/^\d\d:\d\d:\d\d /, ''));
      expect(title).toMatch(/^Task [\da-f-]{36} \(ticks\)$/);
      expect(lines.slice(0, 6)).toEqual([
        ' started',
        ' 25 %  ticking: tick 1',
        ' 50 %  ticking: tick 2',
        ' 75 %  ticking: tick 3',
        ' 100 %  ticking: tick 4',
        ' completed',
      ]);
      expect(JSON.parse(lines.slice(6).join(''))).toEqual({ ticks: 4 });
    });
  });

  describe('tail', () => {
    it('exits as the task ends: 0, 1, 2', async () => {
      const [completed, failed, running] = [await create('ticks'), await create('fail'), await create('approval')];
      const cancelled = taskbridge('tail', running);
      await waiting(running);
      expect((await taskbridge('cancel', running, '--reason', 'enough')).stdout).toBe(
        `Task ${running} is asked to stop\n`,
      );
      expect(await cancelled).toMatchObject({ code: 2, stdout: expect.stringContaining('cancelled: enough') });
      expect((await taskbridge('tail', completed)).code).toBe(0);
      expect(await taskbridge('tail', failed)).toMatchObject({
        code: 1,
        stdout: expect.stringContaining('failed: TASK_EXECUTION_FAILED: the work cannot be done'),
      });
      expect((await taskbridge('cancel', running)).stdout).toBe(`Task ${running} had ended already\n`);
    });

    it('exits as the task has ended when nothing is left to be read', async () => {
      const [taskId, failed] = [await create('ticks', '--input', '{"ticks":1}'), await create('fail')];
      await Promise.all([taskbridge('tail', taskId), taskbridge('tail', failed)]);
      expect(await taskbridge('tail', taskId, '--after', '3-0')).toEqual({
        code: 0,
        stdout: `Task ${taskId} (ticks)\nThe task has ended: COMPLETED\n`,
        stderr: '',
      });
      expect(await taskbridge('tail', failed, '--after', '3', '--json')).toEqual({ code: 1, stdout: '', stderr: '' });
    });

    it('writes each event as a line of JSON, as it is on the wire', async () => {
      const taskId = await create('approval');
      await waiting(taskId);
      await taskbridge('act', taskId, 'reject');
      const { code, stdout } = await taskbridge('tail', taskId, '--json');
      expect(code).toBe(0);
      const { body } = await host.as('ada').get(`/api/v1/tasks/${taskId}/events`);
      expect(parse(stdout)).toEqual(body['events']);
    });

    it('leaves the task alone on Ctrl-C, says how to go on, and that goes on', async () => {
      const taskId = await create('ticks', '--input', '{"ticks":60,"delayMs":50}');
      const first = await interrupted(['tail', taskId, '--json'], 'SIGINT', (out) => out.split('\n').length > 5);
      expect(first.code).toBe(EXIT_CODES.interrupted);
      const had = seqsOf(parse(first.stdout));
      expect(had).toEqual(oneTo(had.length));
      const [, command = ''] =
        /^The task goes on\. Follow it again with:\n {2}(taskbridge tail .+)$/m.exec(first.stderr) ?? [];
      expect(command).toBe(`taskbridge tail ${taskId} --url ${host.url} --after ${had.length}-0 --json`);
      const second = await cli.shell(command, { TASKBRIDGE_TOKEN: 'ada' });
      expect([second.code, [...had, ...seqsOf(parse(second.stdout))]]).toEqual([0, oneTo(62)]);
    });

    it.each(['SIGTERM', 'SIGKILL'] as const)('goes on at its checkpoint after %s', async (signal) => {
      const folder = cli.newFolder(`checkpoints of ${signal}`);
      const taskId = await create('ticks', '--input', '{"ticks":60,"delayMs":50}');
      const args = ['tail', taskId, '--json', '--checkpoint', folder];
      const first = await interrupted(args, signal, (out) => out.split('\n').length > 5);
      const had = seqsOf(parse(first.stdout));
      expect(await checkpoints(folder)).toBe(1);
      if (signal === 'SIGTERM') expect(first.stderr).toContain(`--checkpoint '${folder}'`);
      const { code, stdout } = await taskbridge(...args);
      const rest = seqsOf(parse(stdout));
      // The last one counts as taken when the next is asked for.
      expect([had.length, had.length + 1]).toContain(rest[0]);
      expect([code, rest]).toEqual([0, oneTo(62).slice((rest[0] ?? 0) - 1)]);
      expect(await checkpoints(folder)).toBe(0);
    });

    it('says once when its checkpoint cannot be kept, and follows the task all the same', async () => {
      const file = cli.newFolder('a file');
      await writeFile(file, '');
      const taskId = await create('ticks', '--input', '{"ticks":3}');
      const { code, stdout, stderr } = await taskbridge('tail', taskId, '--json', '--checkpoint', file);
      expect([code, seqsOf(parse(stdout))]).toEqual([0, oneTo(5)]);
      expect(stderr).toMatch(/^The checkpoint cannot be kept: .+\n$/);
    });

    it('takes from other people’s texts what a terminal would obey', async () => {
      const taskId = await create('odd');
      await waiting(taskId);
      await taskbridge('cancel', taskId);
      const { stdout } = await taskbridge('tail', taskId);
      expect(stdout).toContain('warning: \uFFFD]0;owned\uFFFD\uFFFD[31mred\uFFFD2J\uFFFD\n');
      const { stdout: json } = await taskbridge('tail', taskId, '--json');
      expect(json).not.toMatch(OBEYED);
      const { body } = await host.as('ada').get(`/api/v1/tasks/${taskId}/events`);
      expect(parse(json)).toEqual(body['events']);
    });

    it('tells the way back with its path and the names of its headers, without what they say', async () => {
      const taskId = await create('ticks', '--input', '{"ticks":60,"delayMs":50}');
      const reach = ['--tasks-path', '/api/v1/tasks', '--header', 'X-Tenant: red', '--header', 'X-Key: top-secret'];
      const { stderr } = await interrupted(['tail', taskId, ...reach], 'SIGINT', (out) => out.includes('tick 2'));
      const back = `taskbridge tail ${taskId} --url ${host.url} --tasks-path /api/v1/tasks`;
      expect(stderr).toContain(`${back} --header 'x-tenant: …' --header 'x-key: …' --after `);
      expect(stderr).not.toMatch(/red|top-secret/);
      await taskbridge('cancel', taskId);
    });

    it('ends quietly with whoever reads it', async () => {
      const taskId = await create('ticks', '--input', '{"ticks":50,"delayMs":20}');
      const { stdout, stderr } = await cli.shell(`taskbridge tail ${taskId} --json | head -n 2`, env);
      expect([parse(stdout).length, stderr]).toEqual([2, '']);
    });

    it('gives up on a server that has gone away', async () => {
      const other = await startTestApp({ providers: SCRIPTED_HANDLERS });
      const taskId = await other.as('ada').create('approval');
      const args = ['tail', taskId, '--url', other.url, '--give-up-after', '2'];
      const child = spawn(process.execPath, [cli.bin, ...args], { env });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      await eventually(() => stdout.includes('asks:'), 30_000);
      await other.close();
      expect(await ended).toBe(EXIT_CODES.unusable);
      expect(stderr).toMatch(/^error: .+\n$/);
    });

    it('tells of an outage, and of its end', async () => {
      const database = await createTestDatabase();
      const first = await startTestApp({ providers: SCRIPTED_HANDLERS, database });
      const taskId = await first.as('ada').create('approval');
      const child = spawn(process.execPath, [cli.bin, 'tail', taskId, '--url', first.url, '--json'], { env });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const ended = new Promise((resolve) => child.once('close', resolve));
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      await eventually(() => stdout.includes('TASK_SUSPENDED'), 30_000);
      await first.close();
      await eventually(() => stderr.includes('The connection is lost'), 30_000);
      const second = await startTestApp({
        providers: SCRIPTED_HANDLERS,
        database,
        port: Number(new URL(first.url).port),
      });
      await eventually(() => stderr.includes('Connected again'), 60_000);
      await second.as('ada').post(`/api/v1/tasks/${taskId}/cancel`, {});
      expect(await ended).toBe(EXIT_CODES.cancelled);
      expect(stderr).toBe('The connection is lost; trying again …\nConnected again\n');
      await second.close();
      await database.drop();
    });
  });

  describe('ls', () => {
    it('lists the caller’s own tasks, newest first, page by page', async () => {
      const own = { ...env, TASKBRIDGE_TOKEN: 'lister' };
      const client = host.as('lister');
      const [first, second] = [await client.create('approval'), await client.create('ticks', { ticks: 1 })];
      await client.until(first, ({ openSuspensions }) => openSuspensions.length > 0);
      await client.until(second, ({ status }) => status === 'COMPLETED');
      const { stdout } = await cli.run(['ls'], own);
      expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 4))).toEqual([
        ['TASK', 'TYPE', 'STATUS', 'EVENTS'],
        [second, 'ticks', 'COMPLETED', '3'],
        [first, 'approval', 'RUNNING, waiting', '3'],
        [''],
      ]);
      const page = await cli.run(['ls', '--limit', '1'], own);
      const [, cursor = ''] = /--cursor (\S+)/.exec(page.stderr) ?? [];
      const rest = await cli.run(['ls', '--limit', '1', '--cursor', cursor, '--json'], own);
      expect(JSON.parse(rest.stdout)).toMatchObject({ items: [{ taskId: first, waiting: true }] });
      for (const [filter, found] of [
        [['--waiting'], first],
        [['--status', 'COMPLETED'], second],
        [['--type', 'approval'], first],
      ] as const) {
        const filtered = await cli.run(['ls', ...filter, '--json'], own);
        expect(
          (JSON.parse(filtered.stdout) as { items: { taskId: string }[] }).items.map(({ taskId }) => taskId),
        ).toEqual([found]);
      }
      expect((await cli.run(['ls', '--status', 'FAILED'], own)).stdout).toBe('No tasks\n');
    });
  });

  describe('act', () => {
    it('answers the only open question, and says when an answer came too late', async () => {
      const taskId = await create('approval');
      const { openSuspensions } = await waiting(taskId);
      const suspendId = openSuspensions[0]?.suspendId ?? '';
      const bad = await taskbridge('act', taskId, 'approve', '--payload', '{}');
      expect(bad).toMatchObject({ code: 3, stderr: expect.stringMatching(/^error: payload.+note.*\n$/) });
      expect((await taskbridge('act', taskId, 'maybe')).code).toBe(3);
      const answer = ['act', taskId, 'approve', '--payload', '{"note":"fine"}', '--client-action-id', 'one'];
      expect(await taskbridge(...answer)).toEqual({ code: 0, stdout: 'The answer was accepted\n', stderr: '' });
      expect((await taskbridge(...answer, '--suspend-id', suspendId)).stdout).toBe('The answer was accepted before\n');
      const late = await taskbridge('act', taskId, 'reject', '--suspend-id', suspendId, '--json');
      expect([late.code, JSON.parse(late.stdout)]).toEqual([
        EXIT_CODES.failed,
        expect.objectContaining({ status: 'REJECTED_ALREADY_RESOLVED' }),
      ]);
      expect(await taskbridge(...answer)).toEqual({ code: 0, stdout: 'The answer was accepted before\n', stderr: '' });
    });

    it('exits 1 when nothing is open, with and without the question’s id', async () => {
      const taskId = await create('approval');
      const { openSuspensions } = await waiting(taskId);
      const ids = ['--suspend-id', openSuspensions[0]?.suspendId ?? ''];
      await taskbridge('cancel', taskId);
      await host.as('ada').until(taskId, ({ status }) => status === 'CANCELLED');
      expect(await taskbridge('act', taskId, 'reject', ...ids)).toEqual({
        code: EXIT_CODES.failed,
        stdout: 'The answer was too late: somebody else has answered, or the task has ended\n',
        stderr: '',
      });
      for (const json of [[], ['--json']]) {
        expect(await taskbridge('act', taskId, 'reject', ...json)).toEqual({
          code: EXIT_CODES.failed,
          stdout: '',
          stderr:
            'error: No question is open: somebody else has answered, the task has ended, or it has not asked yet\n',
        });
      }
    });

    it('wants to know which question where there are several', async () => {
      const taskId = await create('odd');
      const { openSuspensions } = await waiting(taskId);
      const { code, stderr } = await taskbridge('act', taskId, 'yes');
      expect(code).toBe(3);
      for (const { suspendId, reasonCode } of openSuspensions) expect(stderr).toContain(`${suspendId} (${reasonCode})`);
      await taskbridge('cancel', taskId);
    });
  });

  describe('called wrongly', () => {
    const unknown = '0199d1b0-0000-7000-8000-000000000001';

    it.each<[string, string[], string]>([
      ['for an input that is no JSON', ['create', 'ticks', '--input', '{'], '--input is not JSON'],
      ['for an input that is no object', ['create', 'ticks', '--input', '[]'], '--input must be a JSON object'],
      [
        'for an input file that is not there',
        ['create', 'ticks', '--input', '@none.json'],
        '--input cannot be read: ENOENT',
      ],
      [
        'for an attachment that is not there',
        ['create', 'ticks', '--attach', 'none.txt'],
        '--attach none.txt cannot be read',
      ],
      ['for an unknown type', ['create', 'none'], 'no handler runs tasks of type'],
      ['for an unknown task', ['tail', unknown], `Task ${unknown} does not exist`],
      ['for a task that is no id', ['cancel', '../../health'], 'It must be the id of a task.'],
      ['for a cursor that is none', ['tail', unknown, '--after', 'x'], 'It must be an event id such as 12-0.'],
      ['for a status that is none', ['ls', '--status', 'DONE'], 'Allowed choices are'],
      ['for a header that is none', ['ls', '--header', 'secret'], '--header must look like "Name: value"'],
      ['for a URL that is none', ['ls', '--url', 'ftp://x'], '--url must be an http(s) URL'],
      [
        'for credentials in the URL',
        ['ls', '--url', 'http://u:secret@localhost'],
        '--url has credentials: they go into --header',
      ],
      ['for a header that cannot be sent', ['ls', '--header', 'X-Key: \u0001secret'], '--header must look like'],
      ['for a token that cannot be sent', ['ls', '--token', 'one\nsecret'], '--token has characters that no token has'],
      ['for a misspelt token', ['ls', '--tokn=secret'], "error: unknown option '--tokn'"],
      ['without a task', ['tail'], "missing required argument 'taskId'"],
      ['without credentials', ['ls', '--token', ''], 'Authentication is required'],
      ['where nobody answers', ['ls', '--url', 'http://127.0.0.1:9'], 'error: listTasks got no answer'],
    ])('exits 3 %s', async (_case, args, message) => {
      const { code, stdout, stderr } = await taskbridge(...args);
      expect([code, stdout]).toEqual([EXIT_CODES.unusable, '']);
      expect(stderr).toContain(message);
      expect(stderr).not.toMatch(/secret|\n {4}at /);
    });

    it('sends the headers that it is given, before the token', async () => {
      const args = ['ls', '--header', 'X-Tenant: red', '--header', 'Authorization: Bearer header-only'];
      expect(await taskbridge(...args)).toEqual({ code: 0, stdout: 'No tasks\n', stderr: '' });
    });
  });
});
