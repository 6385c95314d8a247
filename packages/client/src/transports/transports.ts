import type { TaskBridgeClientOptions } from '../client-options.js';
import type { DiagnosticsListener } from '../diagnostics.js';
import type { AuthHeaders } from '../http/auth-headers.js';
import type { HttpClient } from '../http/http-client.js';
import type { Deadlines } from '../recovery/connection.js';
import type { TaskRoutes } from '../routes.js';
import { MultiplexTransport } from './multiplex.transport.js';
import { PollTransport } from './poll.transport.js';
import { SocketOpener } from './socket-opener.js';
import { SseTransport } from './sse.transport.js';
import { type TaskTransport, type TransportName, TRANSPORTS } from './transport.js';
import { platformWebSocket } from './web-socket.js';
import { WebSocketTransport } from './websocket.transport.js';

const MAX_POLL_WAIT_MS = 25_000;

/** Browsers have six connections to a server over HTTP/1.1, and commands need some. */
const BROWSER_STREAMS = 2;

/** What transports are made of. */
export interface TransportParts {
  http: HttpClient;
  auth: AuthHeaders;
  routes: TaskRoutes;
  diagnostics: DiagnosticsListener;
  recovery: Deadlines;
}

/** The transports that can be used here, the best one first. */
export class Transports {
  readonly #parts: TransportParts;
  readonly all: readonly TaskTransport[];

  readonly #maxStreams: number;
  /** `undefined` where there are no WebSockets. */
  readonly #sockets: SocketOpener | undefined;

  constructor(options: TaskBridgeClientOptions, parts: TransportParts) {
    this.#parts = parts;
    const { http, auth, routes } = parts;
    const { baseUrl, webSocket = platformWebSocket(), transports: wanted = TRANSPORTS } = options;
    const { process } = globalThis as { process?: { versions?: { node?: string } } };
    const isLimited = wanted.includes('poll') && !process?.versions?.node;
    this.#maxStreams = options.maxStreams ?? (isLimited ? BROWSER_STREAMS : Infinity);
    const { webSocketAuth = auth.isConfigured ? 'ticket' : 'none' } = options;
    this.#sockets = webSocket && new SocketOpener(http, auth, routes, { webSocket, baseUrl, webSocketAuth });
    this.all = wanted.map((name) => this.#make(name)).filter((transport) => transport !== undefined);
    if (this.all.length === 0) throw new TypeError('No transport can be used');
  }

  #make(name: TransportName): TaskTransport | undefined {
    const { diagnostics, recovery } = this.#parts;
    const waitMs = Math.min(MAX_POLL_WAIT_MS, recovery.livenessTimeoutMs / 2);
    if (name === 'poll') return new PollTransport(this.#parts, waitMs, this.#maxStreams);
    if (name === 'sse') return new SseTransport(this.#parts, this.#maxStreams);
    if (this.#sockets) return new WebSocketTransport(this.#sockets, diagnostics);
    diagnostics({ kind: 'transport-missing', transport: name, reason: 'no WebSocket' });
    return undefined;
  }

  /** The same with one WebSocket for all tasks, and how to let go of it. */
  multiplexed(): { all: readonly TaskTransport[]; close: () => void } {
    const shared = this.#sockets && new MultiplexTransport(this.#sockets, this.#parts);
    return {
      all: this.all.map((transport) => (shared && transport.name === 'websocket' ? shared : transport)),
      close: () => shared?.close(),
    };
  }
}
