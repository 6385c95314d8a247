import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { TaskHandler } from '../../../lib/executors/task-handler.decorator.js';
import type { TaskAnswer, TaskContext, TaskRunner } from '../../../lib/executors/task-handler.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';
import { BuiltCli } from './support/built-cli.js';
import { KEYS, TerminalSession } from './support/terminal-session.js';

/** Asks for one field of each sort. */
@TaskHandler('form')
class FormHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    return task.suspend({
      reasonCode: 'form',
      allowedActions: ['send', 'refuse'],
      interaction: { question: 'Where to?', order: 'A-1', parts: [1, 2] },
      actionSchemas: {
        send: {
          type: 'object',
          required: ['street', 'floor', 'speed'],
          properties: {
            street: { type: 'string', minLength: 3, title: 'Street and number' },
            floor: { type: 'integer' },
            lift: { type: 'boolean' },
            speed: { enum: ['slow', 'fast'] },
            tags: { type: 'array' },
          },
        },
      },
    });
  }

  async resume(_task: TaskContext, answer: TaskAnswer): Promise<unknown> {
    return { action: answer.actionType, payload: answer.payload };
  }
}

/** An answer without anything to say, one that is no list of fields, and one that may leave nearly everything out. */
@TaskHandler('odd-forms')
class OddFormsHandler extends FormHandler {
  override async run(task: TaskContext): Promise<unknown> {
    return task.suspend({
      reasonCode: 'odd-forms',
      allowedActions: ['ok', 'either', 'optional'],
      actionSchemas: {
        ok: { type: 'object', additionalProperties: false },
        either: {
          title: 'Either of two',
          required: ['a'],
          properties: { a: { type: 'integer' } },
          anyOf: [{ maxProperties: 1 }, { required: ['b'] }],
        },
        optional: {
          type: 'object',
          required: ['sure'],
          additionalProperties: false,
          properties: {
            text: { type: 'string' },
            number: { type: 'number' },
            choice: { enum: ['a', 'b'] },
            flag: { type: 'boolean' },
            sure: { type: 'boolean' },
          },
        },
      },
    });
  }
}

// `script` has other options elsewhere.
(process.platform === 'linux' ? describe : describe.skip)(
  'taskbridge at a terminal (skipped off Linux, whose `script` makes the terminal)',
  () => {
    let cli: BuiltCli;
    let host: TestApp;
    const sessions: TerminalSession[] = [];

    beforeAll(async () => {
      [cli, host] = await Promise.all([
        BuiltCli.build(),
        startTestApp({ providers: [...SCRIPTED_HANDLERS, FormHandler, OddFormsHandler] }),
      ]);
    });

    afterEach(() => {
      for (const session of sessions.splice(0)) session.end();
    });

    afterAll(async () => {
      await host.close();
      await cli.remove();
    });

    const open = (args: string, command = `taskbridge ${args}`, size?: string): TerminalSession => {
      const env = { PATH: cli.shellPath, TASKBRIDGE_URL: host.url, TASKBRIDGE_TOKEN: 'ada' };
      const session = new TerminalSession(command, env, size);
      sessions.push(session);
      return session;
    };
    const snapshot = (taskId: string) => host.as('ada').snapshot(taskId);

    it('shows progress as a bar, which goes when the task ends', async () => {
      const session = open(`create ticks --input '{"ticks":20,"delayMs":40}' --follow`);
      await session.shows(/█+░+ \d+ % ticking: tick \d+/);
      await session.shows('completed');
      expect(await session.exit()).toBe(0);
      expect(session.text.split('\n').slice(-5)).toEqual([
        expect.stringMatching(/completed$/),
        '{',
        '  "ticks": 20',
        '}',
        '',
      ]);
    });

    it('puts a question, asks for each field of the answer, and puts it again when the server refuses', async () => {
      const taskId = await host.as('ada').create('form');
      const session = open(`tail ${taskId}`);
      await session.shows('order: A-1');
      await session.shows('parts: [1,2]');
      await session.shows('not now');
      session.press(KEYS.enter);
      await session.shows('Street and number');
      session.press('ab', KEYS.enter);
      await session.shows('floor (integer)');
      session.press('up', KEYS.enter);
      await session.shows('It must be a number');
      session.press(KEYS.backspace, KEYS.backspace, '3.5', KEYS.enter);
      await session.shows('It must be a whole number');
      session.press(KEYS.backspace, KEYS.backspace, KEYS.enter);
      await session.shows('lift, optional');
      session.press(KEYS.enter);
      await session.shows('fast');
      session.press(KEYS.down, KEYS.enter);
      await session.shows('tags (array as JSON), optional');
      session.press('[', KEYS.enter);
      await session.shows(/It must be JSON: .*Unexpected end/);
      session.press('"a"]', KEYS.enter);
      await session.shows(/payload\.street: .+[\s\S]+not now/);
      session.press(KEYS.enter);
      await session.shows(/Street and number[\s\S]+payload\.street[\s\S]+Street and number/);
      session.press('Main 1', KEYS.enter);
      await session.shows(/payload\.street[\s\S]+floor \(integer\)/);
      session.press('3', KEYS.enter);
      await session.shows(/payload\.street[\s\S]+lift/);
      session.press(KEYS.down, KEYS.down, KEYS.enter);
      await session.shows(/payload\.street[\s\S]+speed/);
      session.press(KEYS.down, KEYS.enter);
      await session.shows(/payload\.street[\s\S]+tags/);
      session.press(KEYS.enter);
      await session.shows('answered: send');
      expect(await session.exit()).toBe(0);
      expect((await snapshot(taskId)).result).toEqual({
        action: 'send',
        payload: { street: 'Main 1', floor: 3, lift: false, speed: 'fast' },
      });
    });

    it('is readable at a terminal that does not say how wide it is', async () => {
      const session = open('create approval --follow', undefined, 'cols 0 rows 0');
      await session.shows('not now');
      session.press(KEYS.down, KEYS.enter);
      expect(await session.exit()).toBe(0);
      expect(session.text).toContain('answered: reject');
    });

    it('asks for nothing where an answer has nothing to say', async () => {
      const taskId = await host.as('ada').create('odd-forms');
      const session = open(`tail ${taskId}`);
      await session.shows('not now');
      session.press(KEYS.enter);
      expect(await session.exit()).toBe(0);
      expect((await snapshot(taskId)).result).toEqual({ action: 'ok', payload: {} });
    });

    it('takes JSON where an answer is no list of fields, and says what is wrong with it', async () => {
      const taskId = await host.as('ada').create('odd-forms');
      const session = open(`tail ${taskId}`);
      await session.shows('not now');
      session.press(KEYS.down, KEYS.enter);
      await session.shows('payload: Either of two (object as JSON)');
      session.press(KEYS.enter);
      await session.shows('It is needed');
      session.press('[1]', KEYS.enter);
      await session.shows('It must be a JSON object');
      session.press(...Array.from('[1]', () => KEYS.backspace), '{"a":', KEYS.enter);
      await session.shows(/It must be JSON: .*Unexpected end/);
      session.press('1}', KEYS.enter);
      expect(await session.exit()).toBe(0);
      expect((await snapshot(taskId)).result).toEqual({ action: 'either', payload: { a: 1 } });
    });

    it('leaves out what is optional and is not filled in', async () => {
      const taskId = await host.as('ada').create('odd-forms');
      const session = open(`tail ${taskId}`);
      await session.shows('not now');
      session.press(KEYS.down, KEYS.down, KEYS.enter);
      for (const field of ['text, optional', 'number (number), optional', 'choice, optional', 'flag, optional']) {
        await session.shows(field);
        session.press(KEYS.enter);
      }
      await session.shows('sure');
      session.press(KEYS.enter);
      expect(await session.exit()).toBe(0);
      expect((await snapshot(taskId)).result).toEqual({ action: 'optional', payload: { sure: true } });
    });

    it('leaves the terminal as it was when it is ended at a question', async () => {
      const taskId = await host.as('ada').create('approval');
      const script = `sh -c 'echo pid=$$; exec taskbridge tail ${taskId}'; echo code=$?; stty -a`;
      const session = open('', `sh -c "${script.replaceAll('$', String.raw`\$`)}"`);
      await session.shows('not now');
      const [, pid] = /pid=(\d+)/.exec(session.text) ?? [];
      process.kill(Number(pid), 'SIGTERM');
      await session.shows('code=130');
      await session.exit();
      expect(session.text).toContain('The task goes on. Follow it again with:');
      expect(session.text).toMatch(/ icanon /);
      expect(session.text).toMatch(/ echo /);
      expect(session.isCursorShown).toBe(true);
    });

    it('takes a question back that somebody else answers', async () => {
      const taskId = await host.as('ada').create('approval');
      const session = open(`tail ${taskId}`);
      await session.shows('not now');
      expect((await cli.run(['act', taskId, 'reject', '--url', host.url, '--token', 'ada'])).code).toBe(0);
      await session.shows('No answer is needed any more');
      expect(await session.exit()).toBe(0);
      expect(session.text.indexOf('answered: reject')).toBeLessThan(session.text.indexOf('completed'));
    });

    it('asks nothing that was answered long ago', async () => {
      const taskId = await host.as('ada').create('approval');
      await host.as('ada').until(taskId, ({ openSuspensions }) => openSuspensions.length > 0);
      await cli.run(['act', taskId, 'reject', '--url', host.url, '--token', 'ada']);
      const session = open(`tail ${taskId}`);
      expect(await session.exit()).toBe(0);
      expect(session.text).toContain('asks: May it go on?');
      expect(session.text).not.toContain('not now');
    });

    it('leaves a question open on Ctrl-C, and puts it again when it goes on at its checkpoint', async () => {
      const taskId = await host.as('ada').create('approval');
      const tail = `tail ${taskId} --checkpoint ${cli.newFolder('checkpoints')}`;
      const first = open(tail);
      await first.shows('not now');
      first.press(KEYS.ctrlC);
      expect(await first.exit()).toBe(130);
      expect(first.text).toContain('The task goes on. Follow it again with:');
      expect(await snapshot(taskId)).toMatchObject({
        status: 'RUNNING',
        openSuspensions: [{ reasonCode: 'approval' }],
      });
      const second = open(tail);
      await second.shows('not now');
      expect(second.text).not.toContain('started');
      second.press(KEYS.down, KEYS.enter);
      expect(await second.exit()).toBe(0);
      expect((await snapshot(taskId)).actions).toMatchObject([{ actionType: 'reject' }]);
    });

    it('leaves the question to others when the person wants to, or with --no-prompt, and goes on', async () => {
      const taskId = await host.as('ada').create('approval');
      const session = open(`tail ${taskId}`);
      const silent = open(`tail ${taskId} --no-prompt`);
      await session.shows('not now');
      session.press(KEYS.down, KEYS.down, KEYS.enter);
      await session.shows(`Answer it with: taskbridge act ${taskId} <action>`);
      await silent.shows('asks: May it go on? (approve, reject');
      await cli.run(['act', taskId, 'reject', '--url', host.url, '--token', 'ada']);
      expect([await session.exit(), await silent.exit()]).toEqual([0, 0]);
      expect(silent.text).not.toContain('not now');
    });

    it('gives the cursor back when it is interrupted under a bar', async () => {
      const taskId = await host.as('ada').create('ticks', { ticks: 200, delayMs: 50 });
      const session = open(`tail ${taskId}`);
      await session.shows(/█+░+ \d+ % ticking/);
      session.press(KEYS.ctrlC);
      expect(await session.exit()).toBe(130);
      expect(session.text).toContain(`taskbridge tail ${taskId} --url ${host.url} --after`);
      expect(session.isCursorShown).toBe(true);
      await cli.run(['cancel', taskId, '--url', host.url, '--token', 'ada']);
    });
  },
);
