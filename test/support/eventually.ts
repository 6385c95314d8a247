import { setTimeout as delay } from 'node:timers/promises';

/** Repeats `check` until it stops throwing; after `limitMs` the last failure is the test's. */
export async function eventually(check: () => void | Promise<void>, limitMs = 10_000): Promise<void> {
  const until = Date.now() + limitMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
    }
    await delay(10);
  }
}
