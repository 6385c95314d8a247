import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EXIT_CODES } from '../src/exit-codes.js';
import { BuiltCli } from './support/built-cli.js';
import { StubServer } from './support/stub-server.js';

/** What a terminal would obey. */
const OBEYED = /[^\P{Cc}\n\t]|[\u202A-\u202E\u2066-\u2069]/u;
const PLAIN = /^error: (?!.*(is not a function|Cannot read|undefined|call stack)).+\n$/;

describe('taskbridge before a server that answers oddly', () => {
  let cli: BuiltCli;
  let server: StubServer;

  const taskbridge = (...args: string[]) => cli.run(args, { TASKBRIDGE_URL: server.url, TASKBRIDGE_TOKEN: 'ada' });
  const list = (page: unknown) => (server.answers = { 'GET /api/v1/tasks': page });

  beforeAll(async () => {
    [cli, server] = await Promise.all([BuiltCli.build(), StubServer.listen()]);
  });

  afterAll(async () => {
    await server.close();
    await cli.remove();
  });

  it('writes nothing that a terminal obeys', async () => {
    const evil = '\u001B[2J\u009B31m\u202E';
    server.answers = {
      'POST /api/v1/tasks': { taskId: `a${evil}`, status: 'ACCEPTED' },
      'GET /api/v1/tasks': { items: [], nextCursor: evil },
      'GET /api/v1/tasks/a': { code: 'TASK_NOT_FOUND', message: evil },
      'POST /api/v1/tasks/a/cancel': { taskId: evil, status: evil },
      'POST /api/v1/tasks/a/actions': { taskId: 'a', status: evil },
    };
    const calls = [['create', 'x'], ['ls'], ['tail', 'a'], ['cancel', 'a'], ['act', 'a', 'yes', '--suspend-id', 's']];
    for (const call of calls) {
      for (const json of [[], ['--json']]) {
        const { stdout, stderr } = await taskbridge(...call, ...json);
        expect(stdout + stderr).not.toBe('');
        expect(stdout + stderr).not.toMatch(OBEYED);
      }
    }
  });

  it.each<[string, unknown]>([
    ['no page', { items: 'many', nextCursor: null }],
    ['a page of texts', { items: ['one'], nextCursor: null }],
    ['a page of nothing', { items: [null], nextCursor: null }],
    ['a cursor that is none', { items: [], nextCursor: 7 }],
  ])('ls exits 3 with one plain message for %s', async (_case, page) => {
    list(page);
    for (const json of [[], ['--json']]) {
      const { code, stdout, stderr } = await taskbridge('ls', ...json);
      expect([code, stdout]).toEqual([EXIT_CODES.unusable, '']);
      expect(stderr).toMatch(PLAIN);
    }
  });

  it('ls shows rows with missing members and members of other types', async () => {
    list({ items: [{ taskId: 'a' }, { taskId: 1, taskType: { x: 1 }, status: null, lastEventId: 7, waiting: 'x' }] });
    const { code, stdout, stderr } = await taskbridge('ls');
    expect([code, stderr]).toEqual([EXIT_CODES.completed, '']);
    expect(stdout.split('\n').map((line) => line.split(/ +/))).toEqual([
      ['TASK', 'TYPE', 'STATUS', 'EVENTS', 'CREATED'],
      ['a', '-', '-', '0', '-'],
      ['1', '{"x":1}', '-,', 'waiting', '7', '-'],
      [''],
    ]);
  });

  it('ls shows 200,000 rows, and does not pad them to the widest', async () => {
    const items = Array.from({ length: 200_000 }, (_, row) => ({ taskId: `t${row}`, taskType: 'x' }));
    list({ items: [{ taskId: 'wide', taskType: 'y'.repeat(100_000) }, ...items], nextCursor: null });
    const script = 'taskbridge ls > out; echo $?; wc -l < out; wc -c < out; rm out';
    const { stdout, stderr } = await cli.shell(script, { TASKBRIDGE_URL: server.url });
    expect(stderr).toBe('');
    const [code, lines, bytes] = stdout.split('\n').map(Number);
    expect([code, lines]).toEqual([EXIT_CODES.completed, 200_002]);
    expect(bytes).toBeLessThan(50_000_000);
  });

  it('ls quotes the cursor of the next page for a shell', async () => {
    list({ items: [], nextCursor: "x; rm -rf '~'\n" });
    expect((await taskbridge('ls')).stderr).toBe("There are more: --cursor 'x; rm -rf '\\''~'\\'''\n");
  });

  it.each<[string, unknown]>([
    ['no questions', { taskId: 'a' }],
    ['questions that are none', { taskId: 'a', openSuspensions: [null] }],
    ['a question without an id', { taskId: 'a', openSuspensions: [{ reasonCode: 'x' }] }],
  ])('act and tail exit 3 with one plain message for a task with %s', async (_case, task) => {
    server.answers = { 'GET /api/v1/tasks/a': task };
    for (const call of [
      ['act', 'a', 'yes'],
      ['tail', 'a', '--after', '1'],
    ]) {
      const { code, stdout, stderr } = await taskbridge(...call);
      expect([code, stdout]).toEqual([EXIT_CODES.unusable, '']);
      expect(stderr).toMatch(PLAIN);
    }
  });

  it.each([7, 'LATER', 'constructor', null])('act exits 3 when the status of the answer is %p', async (status) => {
    server.answers = { 'POST /api/v1/tasks/a/actions': { taskId: 'a', status } };
    for (const json of [[], ['--json']]) {
      const { code, stdout, stderr } = await taskbridge('act', 'a', 'yes', '--suspend-id', 's', ...json);
      expect([code, stdout]).toEqual([EXIT_CODES.unusable, '']);
      expect(stderr).toMatch(PLAIN);
    }
  });

  it.each([1, 3])('tail gives up at failure %d when that is --give-up-after', async (failures) => {
    server.answers = { 'GET /api/v1/tasks/a': { taskId: 'a', openSuspensions: [] } };
    server.requests.length = 0;
    const { code, stderr } = await taskbridge('tail', 'a', '--give-up-after', String(failures));
    expect(code).toBe(EXIT_CODES.unusable);
    expect(stderr).toMatch(/^(The connection is lost; trying again …\n)?error: Too many failures: .+\n$/);
    // Polling comes last: it has failed when everything has.
    expect(server.requests.filter((request) => request === 'GET /api/v1/tasks/a/events').length).toBe(failures);
  });

  it.each([1, 6])('tail asks %d times for the task itself when that is --give-up-after', async (failures) => {
    server.answers = { 'GET /api/v1/tasks/a': 503 };
    server.requests.length = 0;
    const { code, stderr } = await taskbridge('tail', 'a', '--give-up-after', String(failures));
    expect(code).toBe(EXIT_CODES.unusable);
    expect(stderr).toMatch(PLAIN);
    expect(server.requests).toEqual(Array.from({ length: failures }, () => 'GET /api/v1/tasks/a'));
  });

  it('repeats a server that repeats the credentials without these', async () => {
    server.answers = { 'GET /api/v1/tasks': { authorization: 'Bearer top-secret', key: 'more-secret' } };
    const { code, stderr } = await taskbridge('ls', '--token', 'top-secret', '--header', 'X-Key: more-secret');
    expect([code, stderr]).toEqual([
      EXIT_CODES.unusable,
      'error: listTasks was answered by {"authorization":"Bearer …","key":"…"}\n',
    ]);
  });

  it('tail ends with the task when a WebSocket that was accepted stays silent', async () => {
    const halfOpen = await StubServer.listen();
    halfOpen.acceptWebSockets();
    const end = { type: 'TASK_COMPLETED', taskId: 'a', eventId: '1-0', createdAt: '', payload: { result: null } };
    halfOpen.answers = {
      'POST /api/v1/tasks/a/tickets': { ticket: 't', taskId: 'a', expiresAt: '' },
      'GET /api/v1/tasks/a': { taskId: 'a', taskType: 'x', status: 'RUNNING', openSuspensions: [] },
      'GET /api/v1/tasks/a/events': { taskId: 'a', events: [end], nextAfterEventId: '1-0', hasMore: false },
    };
    const { code, stdout } = await taskbridge('tail', 'a', '--url', halfOpen.url);
    expect([code, halfOpen.requests]).toEqual([EXIT_CODES.completed, expect.arrayContaining(['UPGRADE'])]);
    expect(stdout).toMatch(/completed\n$/);
    await halfOpen.close();
  });

  it('tail shows events with members of other types', async () => {
    // A template takes nothing of this kind.
    const trap = { toString: 1 };
    const events = [
      {
        type: 'TASK_SUSPENDED',
        payload: { suspendId: 's', allowedActions: { a: 1 }, uiHints: 3, interaction: 'x', expiresAt: trap },
      },
      { type: 'TASK_STARTED', payload: { message: { a: 1 } } },
      { type: 'TASK_ACTION_ACCEPTED', payload: { suspendId: 's' } },
      { type: 'TASK_PROGRESS', payload: { progress: 1e308, stage: trap, message: 5 } },
      { type: 'TASK_MESSAGE', payload: { message: 'x', level: trap } },
      { type: 'TASK_COMPLETED', payload: {} },
    ].map((event, index) => ({ ...event, taskId: 'a', eventId: `${index + 1}-0`, createdAt: trap }));
    server.answers = {
      'GET /api/v1/tasks/a': { taskId: 'a', taskType: 5, status: 'RUNNING', openSuspensions: [] },
      'GET /api/v1/tasks/a/events': { taskId: 'a', events, nextAfterEventId: '6-0', hasMore: false },
    };
    const { code, stdout, stderr } = await taskbridge('tail', 'a');
    expect([code, stderr]).toEqual([EXIT_CODES.completed, '']);
    expect(stdout).toContain('Task a (5)\n');
    expect(stdout).toContain('started: {"a":1}\n');
    expect(stdout).toMatch(/completed\n$/);
  });

  it('says in plain words that an answer is nested too deeply', async () => {
    const page = `{"items":[],"nextCursor":null,"x":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    server.answers = { 'GET /api/v1/tasks': () => page };
    const { code, stdout, stderr } = await taskbridge('ls', '--json');
    expect([code, stdout]).toEqual([EXIT_CODES.unusable, '']);
    expect(stderr).toMatch(PLAIN);
  });
});
