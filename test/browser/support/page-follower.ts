import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { FaultNetwork } from '../../client/support/fault-network.js';
import {
  ADA,
  FOLLOW_LIMIT_MS,
  type Followed,
  type Follower,
  type FollowOptions,
} from '../../client/support/follower.js';
import { IMPATIENT } from '../../client/support/torture-client.js';
import type { FollowCallbacks, FollowOutcome, FollowRequest } from './follow-request.js';
import { routePages } from './page-routes.js';

/** What the page of `follow.page.ts` offers. */
interface PageGlobals {
  follow(request: FollowRequest): Promise<FollowOutcome>;
}

/** Clients in a page of Chromium, with its own WebSockets, tickets and Web Storage. */
export class PageFollower implements Follower {
  private readonly runs: FollowOptions[] = [];

  private constructor(
    private readonly context: BrowserContext,
    readonly page: Page,
  ) {}

  static async open(browser: Browser, { url }: FaultNetwork): Promise<PageFollower> {
    const context = await browser.newContext();
    await routePages(context, ['follow']);
    const page = await context.newPage();
    const follower = new PageFollower(context, page);
    const callbacks: FollowCallbacks = {
      tellEvent: async (run, seq) => void (await follower.runs[run]?.onEvent?.(seq)),
      tellDiagnostic: async (run, diagnostic) => void follower.runs[run]?.onDiagnostic?.(diagnostic),
      headersOf: async (run, forceRefresh) => follower.runs[run]?.headers?.(forceRefresh) ?? ADA,
    };
    for (const [name, callback] of Object.entries(callbacks)) await page.exposeFunction(name, callback);
    await page.goto(`${url}/pages/follow`);
    await page.waitForFunction('window.follow !== undefined');
    return follower;
  }

  async follow(taskId: string, options: FollowOptions = {}): Promise<Followed> {
    const run = this.runs.push(options) - 1;
    const { transports, recovery, limitMs = FOLLOW_LIMIT_MS } = options;
    const request: FollowRequest = {
      taskId,
      store: 'localStorage',
      namespace: `run-${run}`,
      recovery: { ...IMPATIENT, ...recovery },
      limitMs,
      run,
      ...(transports && { transports }),
    };
    const outcome = await this.page.evaluate((asked) => (globalThis as unknown as PageGlobals).follow(asked), request);
    if ('error' in outcome) throw Object.assign(new Error(outcome.error.message), outcome.error);
    return outcome;
  }

  setOnline(isOnline: boolean): Promise<void> {
    return this.context.setOffline(!isOnline);
  }

  close(): Promise<void> {
    return this.context.close();
  }
}
