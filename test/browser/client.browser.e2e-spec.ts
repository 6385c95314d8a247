import { mkdir } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskContext, TaskRunner } from '../../lib/executors/task-handler.js';
import { boundaryCuts, type CutPlan, seededCuts, treatmentOf } from '../client/support/cut-plans.js';
import { FaultNetwork, PASS } from '../client/support/fault-network.js';
import { flawless, IMPATIENT, type Kind, KINDS } from '../client/support/torture-client.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { openTestDatabase, type OpenTestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { StreamApp } from '../support/stream-app.js';
import type { FollowOutcome, FollowRequest } from './support/follow-request.js';
import { launchChromium } from './support/chromium.js';
import { servePages } from './support/page-routes.js';

const EVENTS = 7;
const SCREENSHOTS = '.data/screenshots';

/** What the page of `follow.page.ts` offers. */
interface PageGlobals {
  follow(request: FollowRequest): Promise<FollowOutcome>;
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

  describe('before two instances', () => {
    let opened: OpenTestDatabase;
    let instances: StreamApp[];
    let network: FaultNetwork;
    let page: Page;

    beforeAll(async () => {
      opened = await openTestDatabase();
      const open = (): Promise<StreamApp> =>
        StreamApp.open(opened.database, { prepare: (_, fastify) => servePages(fastify, ['follow']) });
      instances = [await open(), await open()];
      network = await FaultNetwork.start(instances.map(({ origin }) => origin));
    });

    beforeEach(async () => {
      network.reset();
      page = await browser.newPage();
      await page.goto(`${network.url}/pages/follow`);
      await page.waitForFunction('window.follow !== undefined');
    });

    afterEach(() => page.close());

    afterAll(async () => {
      await network.close();
      for (const instance of instances) await instance.close();
      await opened.close();
    });

    const finishedTask = async (): Promise<string> => {
      const taskId = await instances[0].taskWith(EVENTS - 1);
      await instances[1].complete(taskId, { text: 'änderung 🎉' });
      return taskId;
    };

    let runs = 0;

    const follow = (taskId: string, more: Partial<FollowRequest> = {}): Promise<FollowOutcome> => {
      runs += 1;
      const request = {
        taskId,
        namespace: `run-${runs}`,
        store: 'localStorage',
        recovery: IMPATIENT,
        ...more,
      } as const;
      return page.evaluate((asked) => (globalThis as unknown as PageGlobals).follow(asked), request);
    };

    const cutBy = (taskId: string, plan: CutPlan): Promise<FollowOutcome> => {
      network.reset();
      network.treat = treatmentOf(plan);
      return follow(taskId, { transports: [plan.kind] });
    };

    const answerOf = async (taskId: string, kind: Kind): Promise<Buffer> => {
      await cutBy(taskId, { kind, cuts: [] });
      return network.answers[kind];
    };

    it('gets every event once, wherever its connections are cut', async () => {
      const taskId = await finishedTask();
      const answers = {
        websocket: await answerOf(taskId, 'websocket'),
        sse: await answerOf(taskId, 'sse'),
        poll: await answerOf(taskId, 'poll'),
      };
      const plans = [...KINDS.flatMap((kind) => boundaryCuts(kind, answers[kind])), ...seededCuts(60, answers)];
      for (const plan of plans) {
        expect({ plan, ...(await cutBy(taskId, plan)) }).toEqual({ plan, ...flawless(EVENTS) });
      }
    }, 180_000);

    it.each([
      ['WebSockets are refused', ['websocket']],
      ['streams are refused', ['sse']],
      ['both are', ['websocket', 'sse']],
    ])('goes on where %s', async (_, refused) => {
      const taskId = await finishedTask();
      network.treat = ({ kind }) => (refused.includes(kind) ? { type: 'answer', status: 403 } : PASS);
      expect(await follow(taskId)).toEqual(flawless(EVENTS));
    });

    it.each(['localStorage', 'indexedDB'] as const)('goes on after a reload in mid-stream, with %s', async (store) => {
      const taskId = await instances[0].taskWith(4);
      const request = { taskId, store, namespace: `reload-${store}` } as const;
      const asked = JSON.stringify(request);
      const begin = (): Promise<unknown> => page.evaluate(`void window.follow(${asked})`);
      const has = (seq: number): Promise<unknown> =>
        page.waitForFunction(`window.checkpoint(${asked}).then((id) => id === '${seq}-0')`);
      await begin();
      // The last one is taken when the next one is asked for, which is at once.
      await has(4);
      await page.reload();
      await begin();
      await instances[1].progress(taskId, 80);
      await has(5);
      await page.reload();
      await instances[1].complete(taskId);
      await begin();
      await page.waitForFunction('window.shown().length === 6');
      expect(await page.evaluate('window.shown()')).toEqual([1, 2, 3, 4, 5, 6]);
      await page.waitForFunction(`window.checkpoint(${asked}).then((id) => id === undefined)`);
    });
  });

  describe('in a page with the React hook', () => {
    let host: TestApp;
    let network: FaultNetwork;
    let page: Page;
    let taskId: string;

    beforeAll(async () => {
      host = await startTestApp({
        providers: [ReviewHandler],
        configure: (app) => servePages(app.getHttpAdapter().getInstance(), ['task']),
      });
      network = await FaultNetwork.start([host.url]);
    });

    beforeEach(async () => {
      network.reset();
      const context = await browser.newContext({ viewport: { width: 720, height: 540 } });
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
