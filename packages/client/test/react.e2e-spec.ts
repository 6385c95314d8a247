import { TaskBridgeClient } from '@taskbridge/client';
import { TaskBridgeProvider, useTask, type UsedTask } from '@taskbridge/client/react';
import { createElement, type ReactNode, StrictMode } from 'react';
import { renderToString } from 'react-dom/server';
import { TaskWatch } from '../src/react/task-watch.js';
import { startTestApp, type TestApp } from '../../../test/support/app.js';
import { eventually } from '../../../test/support/eventually.js';
import { SCRIPTED_HANDLERS } from '../../../test/support/scripted-handlers.js';

// The hook in a page is tested in a browser; here what it stands on.

function PageOfAnyTask(): ReactNode {
  return useTask('any').status;
}

describe('useTask', () => {
  let host: TestApp;
  let client: TaskBridgeClient;

  beforeAll(async () => {
    host = await startTestApp({ providers: SCRIPTED_HANDLERS });
    client = new TaskBridgeClient({
      baseUrl: host.url,
      authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
      transports: ['sse'],
    });
  });

  afterAll(() => host.close());

  it('renders on a server without a request', () => {
    const used: UsedTask[] = [];
    const Page = (): ReactNode => {
      used.push(useTask('no-such-task'));
      return 'page';
    };
    const tree = createElement(TaskBridgeProvider, { client }, createElement(Page));
    expect(renderToString(createElement(StrictMode, undefined, tree))).toBe('page');
    expect(used[0]).toMatchObject({ taskId: 'no-such-task', status: undefined, openSuspensions: [], events: [] });
  });

  it('asks for a provider where there is none', () => {
    expect(() => renderToString(createElement(PageOfAnyTask))).toThrow('TaskBridgeProvider');
  });

  it('folds the log into what a page shows, and goes on where it was left', async () => {
    const { taskId } = await client.startTask({ taskType: 'approval' });
    const watch = new TaskWatch(client, client, taskId);
    watch.subscribe(() => undefined)();
    const unsubscribe = watch.subscribe(() => undefined);
    await eventually(() => watch.current().openSuspensions.length === 1);
    const [{ suspendId, allowedActions }] = watch.current().openSuspensions;
    expect(watch.current().status).toBe('RUNNING');
    unsubscribe();
    const before = watch.current();

    const again = watch.subscribe(() => undefined);
    const { status } = await watch.act({ suspendId, actionType: allowedActions[0], payload: { note: 'fine' } });
    expect(status).toBe('ACCEPTED');
    expect(watch.current().openSuspensions).toEqual([]);
    await eventually(() => watch.current().status === 'COMPLETED');
    expect(watch.current().result).toMatchObject({ action: 'approve', by: 'ada' });
    const seqs = watch.current().events.map(({ eventId }) => Number.parseInt(eventId, 10));
    expect(new Set(seqs).size).toBe(seqs.length);
    expect(before.status).toBe('RUNNING');
    again();
  });

  it('shows the end of a task that ended before anybody looked', async () => {
    const { taskId } = await client.startTask({ taskType: 'ticks', input: { ticks: 2 } });
    await client.waitForResult(taskId);
    const watch = new TaskWatch(client, client, taskId);
    const unsubscribe = watch.subscribe(() => undefined);
    await eventually(() => watch.current().status === 'COMPLETED');
    expect(watch.current()).toMatchObject({ result: { ticks: 2 }, progress: { progress: 100 }, error: undefined });
    unsubscribe();
  });

  it('says why a task cannot be followed', async () => {
    const watch = new TaskWatch(client, client, '0192f0c0-0000-7000-8000-000000000000');
    const unsubscribe = watch.subscribe(() => undefined);
    await eventually(() => watch.current().error !== undefined);
    expect(watch.current().error).toMatchObject({ code: 'TASK_NOT_FOUND' });
    unsubscribe();
  });
});
