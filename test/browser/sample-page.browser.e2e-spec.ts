import { mkdir } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { type RunningSample, startSample } from '../../sample/src/start-sample.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { launchChromium } from './support/chromium.js';

const SCREENSHOTS = '.data/screenshots';

describe('The page of the sample', () => {
  let database: TestDatabase;
  let sample: RunningSample;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    database = await createTestDatabase();
    sample = await startSample({ host: '127.0.0.1', port: 0, databaseUrl: database.url, logLevels: ['fatal'] });
    browser = await launchChromium();
    page = await browser.newPage();
    await mkdir(SCREENSHOTS, { recursive: true });
  });
  afterAll(async () => {
    await browser?.close();
    await sample?.app.close();
    await database?.drop();
  });

  /** The status of the newest task. */
  const reaches = (status: string): Promise<void> =>
    page.locator('section').first().locator('.status', { hasText: status }).waitFor();

  it('starts tasks, shows how they go on over a reload, asks, cancels and shows failures', async () => {
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(`${sample.url}/page`);
    await page.getByText('Count to forty').click();
    await reaches('RUNNING');
    await page.reload();
    await reaches('RUNNING');
    await page.locator('section progress[value]:not([value="0"])').first().waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}/sample-running.png` });
    await page.getByRole('button', { name: 'cancel' }).click();
    await reaches('CANCELLED');

    await page.getByText('Ask for approval').click();
    await page.getByText('Approve this request?').waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}/sample-question.png` });
    await page.getByRole('button', { name: 'approve', exact: true }).click();
    await reaches('COMPLETED');
    await page.getByText('"decision":"approve"').waitFor();

    await page.getByRole('button', { name: 'Fail' }).click();
    await page.getByText('Failed on purpose').waitFor();
    await page.screenshot({ path: `${SCREENSHOTS}/sample-ended.png` });
    expect(await page.locator('section .status').allTextContents()).toEqual(['FAILED', 'COMPLETED', 'CANCELLED']);
    expect(errors).toEqual([]);
  });
});
