import { TaskBridgeClient } from '@taskbridge/client';
import { WebSocket } from 'ws';

/** A server that is gone for good ends the demo after about half a minute. */
const MAX_FAILURES = 8;

/** A client of the sample, as the demo's own user. Node before 22 has no WebSocket of its own. */
export function sampleClient(url: string): TaskBridgeClient {
  return new TaskBridgeClient({
    baseUrl: url,
    authHeaderProvider: () => ({ authorization: 'Bearer demo-cli' }),
    webSocket: WebSocket,
    webSocketAuth: 'header',
    recovery: { maxFailures: MAX_FAILURES, maxDelayMs: 5_000 },
  });
}

/** Whether this is a running sample; another program, a host of the reader's own for one, may be listening there. */
export async function isSample(url: string): Promise<boolean> {
  try {
    const root = await fetch(url, { signal: AbortSignal.timeout(3_000) });
    return ((await root.json()) as { name?: unknown }).name === 'taskbridge-sample';
  } catch {
    return false;
  }
}
