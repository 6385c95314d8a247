import type { Browser } from 'playwright-core';
import { describeCuts } from '../client/support/cut-suite.js';
import { describeFaults } from '../client/support/fault-suite.js';
import type { FaultNetwork } from '../client/support/fault-network.js';
import { describeRestarts } from '../client/support/restart-suite.js';
import { launchChromium } from './support/chromium.js';
import { PageFollower } from './support/page-follower.js';

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});

afterAll(() => browser.close());

const open = (network: FaultNetwork): Promise<PageFollower> => PageFollower.open(browser, network);

describeCuts('Chromium', open, 180_000);
describeFaults('Chromium', open);
describeRestarts('Chromium', open);
