import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { ApprovalHandler } from '../../../sample/src/demo-tasks/approval.handler.js';
import { FailHandler } from '../../../sample/src/demo-tasks/fail.handler.js';
import { TicksHandler } from '../../../sample/src/demo-tasks/ticks.handler.js';
import { EXIT_CODES } from '../src/exit-codes.js';
import { BuiltCli } from './support/built-cli.js';

describe('the README of the command', () => {
  let cli: BuiltCli;
  let host: TestApp;
  let readme: string;

  beforeAll(async () => {
    readme = await readFile('packages/cli/README.md', 'utf8');
    [cli, host] = await Promise.all([
      BuiltCli.build(),
      startTestApp({ providers: [ApprovalHandler, FailHandler, TicksHandler] }),
    ]);
  });

  afterAll(async () => {
    await host.close();
    await cli.remove();
  });

  it('has commands that work one after the other', async () => {
    const blocks = [...readme.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
    expect(blocks.length).toBe(7);
    const env = { TASKBRIDGE_URL: host.url, TASKBRIDGE_TOKEN: 'ann' };
    const { code, stdout, stderr } = await cli.shell(`set -e\n${blocks.join('\n')}`, env);
    expect([code, stderr]).toEqual([0, '']);
    for (const shown of [
      '100 %  ticking: tick 5 of 5',
      '"decision": "approve"',
      'is asked to stop',
      'The answer was accepted',
      'Failed on purpose after 3 ticks',
    ]) {
      expect(stdout).toContain(shown);
    }
    expect(stdout).toMatch(/^5$/m);
  });

  it('lists the exit codes', () => {
    const listed = [...readme.matchAll(/^\| (\d+) /gm)].map(([, code]) => Number(code));
    expect(listed).toEqual(Object.values(EXIT_CODES));
  });
});
