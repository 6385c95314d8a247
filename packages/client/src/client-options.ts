import type { CheckpointStore } from './checkpoints/checkpoint-store.js';
import type { DiagnosticsListener } from './diagnostics.js';
import type { Given } from './given.js';
import type { AuthHeaderProvider } from './http/auth-headers.js';
import type { NetworkStatus } from './recovery/network-status.js';
import type { RecoveryOptions } from './recovery/recovery-options.js';
import type { GapListener } from './recovery/task-gap.js';
import type { TaskRoutes } from './routes.js';
import type { WebSocketAuth } from './transports/socket-opener.js';
import type { TransportName } from './transports/transport.js';
import type { WebSocketConstructor } from './transports/web-socket.js';

/** Everything but `baseUrl` has a default. */
export interface TaskBridgeClientOptions {
  /** Origin of the server, with a path where the API is below one; empty for the page's own. */
  baseUrl: string;
  /** Without one, requests carry no headers of their own: cookies, or nothing. */
  authHeaderProvider?: AuthHeaderProvider | undefined;
  /** @default 'ticket' with an `authHeaderProvider`, otherwise 'none' */
  webSocketAuth?: WebSocketAuth | undefined;
  /** Where the host has other paths than the server's own; see {@link taskRoutes}. */
  routes?: Given<TaskRoutes> | undefined;
  /** Where checkpoints are kept. Without one they are lost with the client. */
  store?: CheckpointStore | undefined;
  /** Begins every key in the store: one for each server or user that shares it. @default 'taskbridge' */
  namespace?: string | undefined;
  /** Which to use, the best one first. @default ['websocket', 'sse', 'poll'] */
  transports?: readonly TransportName[] | undefined;
  /**
   * How many tasks may hold a connection by SSE at a time, and how many by a long poll; the others poll for half a second.
   * Browsers have six connections to a server over HTTP/1.1, for all their tabs, and commands need some. Over HTTP/2 more
   * are fine. @default 2, Infinity in Node and without `poll` among the transports
   */
  maxStreams?: number | undefined;
  recovery?: Given<RecoveryOptions> | undefined;
  /** @default `navigator.onLine` */
  network?: NetworkStatus | undefined;
  /** How often a command is tried. @default 5 */
  commandAttempts?: number | undefined;
  /** How long each try of a command may take. @default 30_000 */
  commandTimeoutMs?: number | undefined;
  diagnostics?: DiagnosticsListener | undefined;
  /** @default the platform's */
  fetch?: typeof fetch | undefined;
  /** @default the platform's; Node before 22 has none, and goes without */
  webSocket?: WebSocketConstructor | undefined;
}

/** How one task is followed. */
export interface ObserveOptions {
  /** Go on after this event, whatever the store says; `'0'` is the start. */
  lastEventId?: string | undefined;
  /** Ends the observation, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** `false`: read the log as it is, every question included, and leave the stored checkpoint alone. @default true */
  checkpoint?: boolean | undefined;
  /** Without one, a gap rejects with `EVENT_GAP`. */
  onGap?: GapListener | undefined;
}
