import { mkdir } from 'node:fs/promises';
import type { TaskSnapshot } from '@taskbridge/protocol';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskAnswer, TaskContext, TaskRunner } from '../../lib/executors/task-handler.js';
import { FaultNetwork, PASS } from '../client/support/fault-network.js';
import type { Followed } from '../client/support/follower.js';
import { QuestionsHandler } from '../client/support/questions-handler.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { eventually } from '../support/eventually.js';
import { oneTo } from '../support/stream-clients.js';
import type { FollowRequest } from './support/follow-request.js';
import { launchChromium } from './support/chromium.js';
import { routePages } from './support/page-routes.js';

const SCREENSHOTS = '.data/screenshots';
const STORES = ['localStorage', 'indexedDB'] as const;

/** Asks twice whether to go on. */
@TaskHandler('steps')
class StepsHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    return task.suspend({ reasonCode: 'first', allowedActions: ['go'], state: 'first' });
  }

  async resume(task: TaskContext, { state }: TaskAnswer): Promise<unknown> {
    return state === 'first' ? task.suspend({ reasonCode: 'second', allowedActions: ['go'] }) : { done: true };
  }
}

/** Reports, asks, and reports again once it is answered. */
@TaskHandler('review')
class ReviewHandler implements TaskRunner {
  async run(task: TaskContext): Promise<unknown> {
    for (let percent = 10; percent <= 50; percent += 10) await task.progress(percent);
    return task.suspend({
      reasonCode: 'approval',
      allowedActions: ['approve', 'reject'],
      interaction: { question: 'Publish the report?' },
      state: {},
    });
  }

  async resume(task: TaskContext): Promise<unknown> {
    for (let percent = 60; percent <= 100; percent += 10) {
      await task.progress(percent);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    return { published: true };
  }
}

describe('The client in Chromium', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await launchChromium();
    await mkdir(SCREENSHOTS, { recursive: true });
  });

  afterAll(() => browser.close());

  describe('with the stores of a browser', () => {
    let host: TestApp;
    let network: FaultNetwork;
    let context: BrowserContext;
    let page: Page;

    beforeAll(async () => {
      host = await startTestApp({ providers: [StepsHandler, QuestionsHandler] });
      network = await FaultNetwork.start([host.url]);
    });

    beforeEach(async () => {
      network.reset();
      context = await browser.newContext();
      await routePages(context, ['follow']);
      page = await newTab();
    });

    afterEach(() => context.close());

    afterAll(async () => {
      await network.close();
      await host.close();
    });

    const newTab = async (): Promise<Page> => {
      const tab = await context.newPage();
      await tab.goto(`${network.url}/pages/follow`);
      await tab.waitForFunction('window.follow !== undefined');
      return tab;
    };

    /** The keys of the package's stores that are left. */
    const keysLeft = (): Promise<string[]> =>
      page.evaluate(`new Promise((resolve, reject) => {
        const opening = indexedDB.open('taskbridge', 1);
        opening.onupgradeneeded = () => opening.result.createObjectStore('items');
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
          const keys = opening.result.transaction('items').objectStore('items').getAllKeys();
          keys.onsuccess = () => resolve([...Object.keys(localStorage), ...keys.result]);
        };
      })`);

    it('leaves connections for commands, however many tasks it follows without a WebSocket', async () => {
      const ada = host.as('ada');
      const taskIds = await Promise.all(Array.from({ length: 8 }, () => ada.create('steps')));
      const request: FollowRequest = {
        taskId: taskIds[0],
        store: 'localStorage',
        namespace: 'many',
        transports: ['sse', 'poll'],
      };
      const asked = JSON.stringify(request);
      await page.evaluate(`void (window.together = window.followTogether(${asked}, ${JSON.stringify(taskIds)}))`);
      for (const code of ['first', 'second']) {
        for (const taskId of taskIds) {
          const { openSuspensions } = await ada.until(taskId, ({ openSuspensions: [one] }) => one?.reasonCode === code);
          const answered = JSON.stringify({ ...request, taskId });
          await page.evaluate(`window.answer(${answered}, '${openSuspensions[0].suspendId}', 'go')`);
        }
      }
      expect(await page.evaluate('window.together')).toEqual(taskIds.map(() => 6));
    });

    it.each(STORES)('goes on after a reload in mid-stream, with %s', async (store) => {
      const ada = host.as('ada');
      const taskId = await ada.create('steps');
      const asked = JSON.stringify({ taskId, store, namespace: 'reload' } satisfies FollowRequest);
      const begin = (): Promise<unknown> => page.evaluate(`void window.follow(${asked})`);
      // The last one is taken when the next one is asked for, which is at once.
      const hasTaken = ({ lastEventId }: TaskSnapshot): Promise<unknown> =>
        page.waitForFunction(`window.checkpoint(${asked}).then((id) => id === '${lastEventId}')`);
      const asks = (code: string): Promise<TaskSnapshot> =>
        ada.until(taskId, ({ openSuspensions: [question] }) => question?.reasonCode === code);
      const answer = ({ openSuspensions: [{ suspendId }] }: TaskSnapshot): Promise<unknown> =>
        ada.post(`/api/v1/tasks/${taskId}/actions`, { clientActionId: suspendId, suspendId, actionType: 'go' });
      await begin();
      const first = await asks('first');
      await hasTaken(first);
      await page.reload();
      await begin();
      await answer(first);
      const second = await asks('second');
      await hasTaken(second);
      await page.reload();
      await answer(second);
      const { lastEventId } = await ada.until(taskId, ({ status }) => status === 'COMPLETED');
      await begin();
      const count = Number.parseInt(lastEventId ?? '', 10);
      await page.waitForFunction(`window.shown().length === ${count}`);
      expect(await page.evaluate('window.shown()')).toEqual(oneTo(count));
      await page.waitForFunction(`window.checkpoint(${asked}).then((id) => id === undefined)`);
      expect(await keysLeft()).toEqual([]);
    });

    it.each(STORES)('loses no answer that two tabs give at the same time, with %s', async (store) => {
      const tabs = [page, await newTab()];
      for (let round = 0; round < 10; round += 1) {
        const taskId = await host.as('ada').create('questions');
        const { openSuspensions } = await host.as('ada').until(taskId, (task) => task.openSuspensions.length === 3);
        const asked = JSON.stringify({ taskId, store, namespace: 'tabs' } satisfies FollowRequest);
        const answer = (tab: Page, code: string): Promise<unknown> => {
          const { suspendId } = openSuspensions.find(({ reasonCode }) => reasonCode === code) ?? { suspendId: '' };
          return tab.evaluate(`window.answer(${asked}, '${suspendId}', '${code}')`);
        };
        await Promise.all([answer(tabs[0], 'first'), answer(tabs[1], 'second')]);
        await answer(tabs[round % 2], 'last');
        const { seqs } = (await tabs[0].evaluate(`window.follow(${asked})`)) as Followed;
        // Started, three questions that are answered already, three answers and the end.
        expect(seqs).toEqual([1, 5, 6, 7, 8]);
        expect(await keysLeft()).toEqual([]);
      }
    });
  });

  describe('in a page with the React hook', () => {
    let host: TestApp;
    let network: FaultNetwork;
    let page: Page;
    let taskId: string;

    beforeAll(async () => {
      host = await startTestApp({ providers: [ReviewHandler] });
      network = await FaultNetwork.start([host.url]);
    });

    beforeEach(async () => {
      network.reset();
      const context = await browser.newContext({ viewport: { width: 720, height: 540 } });
      await routePages(context, ['task']);
      page = await context.newPage();
      taskId = await host.as('ada').create('review');
      await page.goto(`${network.url}/pages/task?task=${taskId}`);
    });

    afterEach(() => page.context().close());

    afterAll(async () => {
      await network.close();
      await host.close();
    });

    const text = (selector: string): Promise<string | null> => page.textContent(selector);
    const shot = (name: string): Promise<Buffer> => page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });

    it('shows the question again after a reload, and the end after the answer', async () => {
      await page.waitForSelector('dialog[open]');
      expect(await text('dialog p')).toBe('Publish the report?');
      expect(await text('#percent')).toBe('50 %');
      await shot('question');
      await page.reload();
      await page.waitForSelector('dialog[open]');
      expect([await text('#percent'), await text('#status')]).toEqual(['50 %', 'RUNNING']);
      await shot('question-after-reload');
      await page.click('#approve');
      await page.waitForFunction(`document.querySelector('#percent').textContent === '60 %'`);
      expect(await page.$('dialog')).toBeNull();
      await shot('progress');
      await page.reload();
      await page.waitForFunction(`document.querySelector('#status').textContent === 'COMPLETED'`);
      expect([await text('#percent'), await text('#result')]).toEqual(['100 %', '{"published":true}']);
      await shot('completed');
    });

    it('goes on when the device is online again', async () => {
      await page.waitForSelector('dialog[open]');
      await page.context().setOffline(true);
      network.treat = () => ({ type: 'cut', bytes: 0 });
      network.cut();
      const [{ suspendId }] = (await host.as('ada').snapshot(taskId)).openSuspensions;
      const action = { clientActionId: 'elsewhere', suspendId, actionType: 'approve' };
      await host.as('ada').post(`/api/v1/tasks/${taskId}/actions`, action);
      await host.as('ada').until(taskId, ({ status }) => status === 'COMPLETED');
      await shot('offline');
      expect(await text('#percent')).toBe('50 %');
      network.treat = () => PASS;
      await page.context().setOffline(false);
      await page.waitForFunction(`document.querySelector('#status').textContent === 'COMPLETED'`);
      expect(await page.$('dialog')).toBeNull();
      const seqs = ((await text('#seqs')) ?? '').split(' ').map(Number);
      expect(seqs).toEqual(seqs.map((_, index) => seqs[0] + index));
      await shot('online-again');
    });

    it('lets go of its connection when it is unmounted, and goes on when it is back', async () => {
      await page.waitForSelector('dialog[open]');
      await page.click('#toggle');
      await eventually(() => network.openConnections('websocket') === 0);
      await page.click('#toggle');
      await page.waitForSelector('dialog[open]');
      await page.click('#reject');
      await page.waitForFunction(`document.querySelector('#status').textContent === 'COMPLETED'`);
    });
  });
});
