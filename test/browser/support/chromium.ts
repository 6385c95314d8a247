import { type Browser, chromium } from 'playwright-core';

/** Headless, and silent on the network but for the pages under test. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // Pages that a test answers itself come from nowhere, and may ask the loopback interface all the same.
      '--disable-features=LocalNetworkAccessChecks',
    ],
  });
}
