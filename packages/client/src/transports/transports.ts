import type { TaskBridgeClientOptions } from '../client-options.js';
import type { DiagnosticsListener } from '../diagnostics.js';
import type { AuthHeaders } from '../http/auth-headers.js';
import type { HttpClient } from '../http/http-client.js';
import type { Deadlines } from '../recovery/connection.js';
import type { TaskRoutes } from '../routes.js';
import { MultiplexTransport } from './multiplex.transport.js';
import { PollTransport } from './poll.transport.js';
import { SocketIdentity } from './socket-identity.js';
import { SseTransport } from './sse.transport.js';
import { type TaskTransport, type TransportName, TRANSPORTS } from './transport.js';
import { platformWebSocket, type WebSocketConstructor } from './web-socket.js';
import { WebSocketTransport } from './websocket.transport.js';

const MAX_POLL_WAIT_MS = 25_000;

interface TransportParts {
  http: HttpClient;
  auth: AuthHeaders;
  routes: TaskRoutes;
  diagnostics: DiagnosticsListener;
  deadlines: Deadlines;
}

/** The transports that can be used here, the best one first. */
export class Transports {
  readonly all: readonly TaskTransport[];

  constructor(
    private readonly options: TaskBridgeClientOptions,
    private readonly parts: TransportParts,
  ) {
    const wanted = options.transports ?? TRANSPORTS;
    this.all = wanted.map((name) => this.make(name)).filter((transport) => transport !== undefined);
    if (this.all.length === 0) throw new TypeError('No transport can be used');
  }

  private make(name: TransportName): TaskTransport | undefined {
    const { http, routes, diagnostics, deadlines } = this.parts;
    if (name === 'sse') return new SseTransport(http, routes, diagnostics);
    if (name === 'websocket') return this.makeWebSocket();
    return new PollTransport(http, routes, diagnostics, Math.min(MAX_POLL_WAIT_MS, deadlines.livenessTimeoutMs / 2));
  }

  /** The same with one WebSocket for all tasks, and how to let go of it. */
  multiplexed(): { all: readonly TaskTransport[]; close: () => void } {
    const { diagnostics, deadlines } = this.parts;
    const webSocket = this.webSocket();
    const shared =
      webSocket && new MultiplexTransport(webSocket.constructor, webSocket.identity, diagnostics, deadlines);
    const all = this.all.map((transport) => (shared && transport.name === 'websocket' ? shared : transport));
    return { all, close: () => shared?.close() };
  }

  private makeWebSocket(): TaskTransport | undefined {
    const { diagnostics } = this.parts;
    const webSocket = this.webSocket();
    if (webSocket) return new WebSocketTransport(webSocket.constructor, webSocket.identity, diagnostics);
    diagnostics({ kind: 'transport-missing', transport: 'websocket', reason: 'no WebSocket here' });
    return undefined;
  }

  private webSocket(): { constructor: WebSocketConstructor; identity: SocketIdentity } | undefined {
    const { http, auth, routes } = this.parts;
    const {
      baseUrl,
      webSocket = platformWebSocket(),
      webSocketAuth = auth.isConfigured ? 'ticket' : 'none',
    } = this.options;
    const identity = new SocketIdentity(http, auth, routes, { baseUrl, webSocketAuth });
    return webSocket && { constructor: webSocket, identity };
  }
}
