import { spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { eventually } from '../../../test/support/eventually.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';
import { EXIT_CODES } from '../src/exit-codes.js';
import { BuiltCli } from './support/built-cli.js';

describe('the output of taskbridge', () => {
  let cli: BuiltCli;
  let host: TestApp;
  let env: Record<string, string>;
  let completed: string;
  let failed: string;

  beforeAll(async () => {
    [cli, host] = await Promise.all([BuiltCli.build(), startTestApp({ providers: SCRIPTED_HANDLERS })]);
    env = { TASKBRIDGE_URL: host.url, TASKBRIDGE_TOKEN: 'ada' };
    completed = await host.as('ada').create('ticks', { ticks: 5 });
    failed = await host.as('ada').create('fail');
    await host.as('ada').until(completed, ({ status }) => status === 'COMPLETED');
    await host.as('ada').until(failed, ({ status }) => status === 'FAILED');
  });

  afterAll(async () => {
    await host.close();
    await cli.remove();
  });

  /** Nobody reads what it says on stderr. */
  const withoutStderr = async (args: string[], interrupt?: (stdout: string) => boolean): Promise<number | null> => {
    const child = spawn(process.execPath, [cli.bin, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    child.stderr.destroy();
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    if (interrupt) {
      await eventually(() => interrupt(stdout), 30_000);
      child.kill('SIGINT');
    }
    return ended;
  };

  it('may have a stderr that nobody reads, without another exit code', async () => {
    expect(await withoutStderr(['ls', '--limit', '1'])).toBe(EXIT_CODES.completed);
    expect(await withoutStderr(['tail', failed])).toBe(EXIT_CODES.failed);
    expect(await withoutStderr(['tail'])).toBe(EXIT_CODES.unusable);
    expect(await withoutStderr(['ls', '--url', 'http://127.0.0.1:9'])).toBe(EXIT_CODES.unusable);
    const asking = await host.as('ada').create('approval');
    expect(await withoutStderr(['tail', asking], (stdout) => stdout.includes('asks:'))).toBe(EXIT_CODES.interrupted);
    const { stdout } = await cli.shell('taskbridge tail 2>/dev/full; echo $?; taskbridge tail 2>&-; echo $?', env);
    expect(stdout).toBe(`${EXIT_CODES.unusable}\n${EXIT_CODES.unusable}\n`);
  });

  it.each([
    ['a full disk', '>/dev/full', 'ENOSPC'],
    ['something that cannot be written', '1</dev/null', 'EBADF'],
  ])('goes to %s: one plain message and 3', async (_case, redirection, reason) => {
    for (const args of ['ls', 'ls --json', `tail ${completed}`, `tail ${completed} --json`, 'create ticks', '--help']) {
      const { code, stderr } = await cli.shell(`taskbridge ${args} ${redirection}`, env);
      expect([args, code]).toEqual([args, EXIT_CODES.unusable]);
      expect(stderr).toMatch(new RegExp(`^error: The output cannot be written: ${reason}.*\\n$`));
    }
  });

  it('ends quietly with 141 when its reader goes, as programs do that a broken pipe ends', async () => {
    const running = await host.as('ada').create('ticks', { ticks: 1_000, delayMs: 20 });
    const { stdout, stderr } = await cli.shell(
      `{ taskbridge tail ${running} --json; echo $? >&2; } | head -n 1 | wc -l`,
      env,
    );
    expect([Number(stdout), stderr]).toEqual([1, `${EXIT_CODES.unread}\n`]);
    await host.as('ada').post(`/api/v1/tasks/${running}/cancel`);
  });
});
