import type { Logger } from '@nestjs/common';
import { drainingError, type Drainable, type StreamDrain } from '../streams/stream-drain.js';
import type { StreamTicker, Ticking } from '../streams/stream-ticker.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';

/** What a check needs from its gateway. */
export interface CheckContext {
  readonly logger: Logger;
  readonly drain: StreamDrain;
  readonly ticker: StreamTicker;
  readonly settings: TaskBridgeSettings;
}

/**
 * A check that waits for the host, whose guards may take for ever. Rejects as `check` does, with an outage after
 * `webSocket.subscribeTimeoutMs`, and with `SERVICE_UNAVAILABLE` when the process drains; what the check still comes to
 * is dropped.
 */
export async function decidedInTime<T>(what: string, check: Promise<T>, context: CheckContext): Promise<T> {
  const { drain, ticker, settings, logger } = context;
  const limitMs = settings.webSocket.subscribeTimeoutMs;
  const untilMs = performance.now() + limitMs;
  let giveUp: (error: Error) => void = ignore;
  const givenUp = new Promise<never>((_, reject) => (giveUp = reject));
  const pending: Ticking & Drainable = {
    tick: (nowMs) => {
      if (nowMs < untilMs) return;
      const message = `${what} was not decided within ${limitMs} ms: look at the guards`;
      logger.warn(message);
      giveUp(Object.assign(new Error(message), { code: 'ETIMEDOUT' }));
    },
    shutdown: () => giveUp(drainingError()),
    terminate: () => giveUp(drainingError()),
  };
  drain.add(pending);
  ticker.add(pending);
  try {
    return await Promise.race([check, givenUp]);
  } finally {
    drain.remove(pending);
    ticker.remove(pending);
  }
}

function ignore(): void {}
