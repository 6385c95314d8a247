import { RequestRefusedError } from '../errors.js';
import type { AuthHeaders } from '../http/auth-headers.js';
import type { HttpClient } from '../http/http-client.js';
import { addressOf, type TaskRoutes, webSocketAddress } from '../routes.js';
import { Socket } from './socket.js';
import type { WebSocketConstructor } from './web-socket.js';

/**
 * How a WebSocket says who asks. `ticket`: a short-lived one-time ticket, fetched for each connection, works everywhere.
 * `subprotocol`: the bearer token as a second subprotocol, for servers that read it. `header`: headers as for requests,
 * in React Native and with `ws`. `none`: cookies, or nothing.
 */
export type WebSocketAuth = 'ticket' | 'subprotocol' | 'header' | 'none';

interface SocketSettings {
  webSocket: WebSocketConstructor;
  baseUrl: string;
  webSocketAuth: WebSocketAuth;
}

/** Opens sockets that prove who asks. */
export class SocketOpener {
  readonly #http: HttpClient;
  readonly #auth: AuthHeaders;
  readonly #routes: TaskRoutes;
  readonly #settings: SocketSettings;

  constructor(http: HttpClient, auth: AuthHeaders, routes: TaskRoutes, settings: SocketSettings) {
    this.#http = http;
    this.#auth = auth;
    this.#routes = routes;
    this.#settings = settings;
  }

  get usesTickets(): boolean {
    return this.#settings.webSocketAuth === 'ticket';
  }

  /** For a connection that begins with this task. A 401, where it can be seen, is tried once more with refreshed headers. */
  async open(taskId: string, signal: AbortSignal): Promise<Socket> {
    const context = { operation: 'stream', taskId };
    if (this.usesTickets) return this.#socket({}, signal, await this.ticket(taskId, signal));
    if (this.#settings.webSocketAuth === 'none') return this.#socket({}, signal);
    const identity = await this.#auth.headers(context, signal);
    const { refreshes } = this.#auth;
    const socket = await this.#socket(identity, signal);
    if (!socket.isUnauthorized || !this.#auth.isConfigured) return socket;
    const again = await this.#socket(await this.#auth.refreshed(context, refreshes, signal), signal);
    if (!again.isUnauthorized) return again;
    throw new RequestRefusedError('AUTHENTICATION_ERROR', 'The upgrade got a 401', { status: 401 });
  }

  /** Good for one subscription of this task. */
  async ticket(taskId: string, signal: AbortSignal): Promise<string> {
    const request = {
      operation: 'ticket',
      taskId,
      method: 'POST',
      route: this.#routes.tickets(taskId),
      signal,
      answer: 'ticket',
    } as const;
    return (await this.#http.json<{ ticket: string }>(request)).ticket;
  }

  async #socket(identity: Record<string, string>, signal: AbortSignal, ticket?: string): Promise<Socket> {
    const { webSocket, baseUrl, webSocketAuth } = this.#settings;
    const address = webSocketAddress(addressOf(baseUrl, this.#routes.webSocket(), { ticket }));
    const protocols = webSocketAuth === 'subprotocol' ? ['taskbridge', ...bearer(identity)] : [];
    const socket = new Socket(
      new webSocket(address, protocols, { headers: webSocketAuth === 'header' ? identity : {} }),
    );
    await socket.opened(signal);
    return socket;
  }
}

function bearer(headers: Record<string, string>): string[] {
  const entry = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
  const token = /^Bearer (.+)$/i.exec(entry?.[1] ?? '')?.[1];
  return token === undefined ? [] : [`bearer.${token}`];
}
