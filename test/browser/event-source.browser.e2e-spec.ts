import { Controller, Get, Header } from '@nestjs/common';
import type { TaskEvent } from '@taskbridge/protocol';
import type { Browser, Page } from 'playwright-core';
import { type AuthContext, AuthContextResolver } from '../../lib/index.js';
import { startTestApp, type TestApp } from '../support/app.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { HttpClient } from '../support/http-client.js';
import { SCRIPTED_HANDLERS } from '../support/scripted-handlers.js';
import { oneTo, seqsOf } from '../support/stream-clients.js';

const TICKS = 80;
import { launchChromium } from './support/chromium.js';

/** A page of the host, so that the browser's EventSource is of one origin with the stream. */
@Controller('page')
class PageController {
  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  page(): string {
    return '<!doctype html><title>follow</title><p id="state">open</p>';
  }
}

/** As with a session cookie: a browser's EventSource can set no headers. */
class Everybody extends AuthContextResolver {
  resolve(): AuthContext {
    return { subject: 'ada', scopes: [], appId: null, attributes: {} };
  }
}

describe('Chromium’s own EventSource', () => {
  let host: TestApp;
  let browser: Browser;
  let page: Page;

  beforeAll(async () => {
    host = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      controllers: [PageController],
      taskBridge: { authContextResolver: Everybody },
    });
    browser = await launchChromium();
    page = await browser.newPage();
  });

  afterAll(async () => {
    await browser.close();
    await host.close();
  });

  /** Follows in the page until the browser has given up reconnecting; tells what `onmessage` saw. */
  const followInPage = (streamPath: string): Promise<TaskEvent[]> =>
    page.evaluate(
      (path) =>
        new Promise<TaskEvent[]>((resolve) => {
          const events: TaskEvent[] = [];
          const source = new EventSource(path);
          source.onmessage = ({ data }) => {
            const frame = JSON.parse(String(data)) as TaskEvent;
            if (frame.type.startsWith('TASK_')) events.push(frame);
          };
          source.onerror = () => {
            if (source.readyState === EventSource.CLOSED) resolve(events);
          };
        }),
      streamPath,
    );

  it('sees every event once, in order, across cuts, and stops after the end with one 204', async () => {
    const proxy = await startCuttingProxy(host.url, { cutAfterBytes: 6_000, cuts: 2 });
    try {
      await page.goto(`${proxy.url}/page`);
      const taskId = await new HttpClient(host.url, 'ada').create('ticks', { ticks: TICKS, delayMs: 20 });
      const path = `/api/v1/tasks/${taskId}/events/stream`;
      const statuses: number[] = [];
      page.on('response', (response) => {
        if (response.url().endsWith(path)) statuses.push(response.status());
      });
      const events = await followInPage(path);
      expect(seqsOf(events)).toEqual(oneTo(TICKS + 2));
      expect(statuses.filter((status) => status === 204)).toEqual([204]);
      expect(statuses.at(-1)).toBe(204);
      expect(statuses.length).toBeGreaterThanOrEqual(3);
    } finally {
      await proxy.close();
    }
  }, 90_000);
});
