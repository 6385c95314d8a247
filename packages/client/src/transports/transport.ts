import type { EventGap, WebSocketSubscribeRequest } from '@taskbridge/protocol';
import type { TaskEvent } from '../task-events.js';

/** From the most to the least capable. */
export const TRANSPORTS = ['websocket', 'sse', 'poll'] as const;

/** One of {@link TRANSPORTS}. */
export type TransportName = (typeof TRANSPORTS)[number];

/** What arrives on a connection. */
export type TransportFrame =
  /** The server has accepted the subscription: this transport works. */
  | { kind: 'open' }
  /** A sign of life. */
  | { kind: 'alive' }
  | { kind: 'event'; event: TaskEvent }
  | { kind: 'gap'; gap: EventGap }
  /** The server says that nothing follows the cursor. */
  | { kind: 'end' };

/** What to follow, and from where on. */
export interface Subscription {
  taskId: string;
  /** `0-0` for the start. */
  afterEventId: string;
  /** Aborted when nobody listens any more; the iteration then ends, in whatever way. */
  signal: AbortSignal;
}

/** What asks for a subscription over a WebSocket. */
export function subscribeRequest({ taskId, afterEventId }: Subscription): WebSocketSubscribeRequest {
  return { action: 'subscribe', taskId, lastEventId: afterEventId, gap: 'error' };
}

/**
 * One way to follow a log. Iterating opens the connection; it ends when the connection does, and throws what the server
 * or the network said. It neither retries nor drops duplicates.
 */
export interface TaskTransport {
  readonly name: TransportName;
  open(subscription: Subscription): AsyncIterator<TransportFrame>;
}

/** This transport cannot be used here: no implementation, or something in between that does not understand it. */
export class TransportUnsupportedError extends Error {}
