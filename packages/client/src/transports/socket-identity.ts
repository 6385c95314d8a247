import type { AuthHeaders } from '../http/auth-headers.js';
import type { HttpClient } from '../http/http-client.js';
import { addressOf, type TaskRoutes, webSocketAddress } from '../routes.js';

/**
 * How a WebSocket says who asks. `ticket`: a short-lived one-time ticket, fetched for each connection, works everywhere.
 * `subprotocol`: the bearer token as a second subprotocol, for servers that read it. `header`: headers as for requests,
 * in React Native and with `ws`. `none`: cookies, or nothing.
 */
export type WebSocketAuth = 'ticket' | 'subprotocol' | 'header' | 'none';

/** What a connection is opened with. */
export interface SocketAddress {
  address: string;
  protocols: string[];
  headers: Record<string, string>;
}

/** Proves the caller's identity to sockets. */
export class SocketIdentity {
  constructor(
    private readonly http: HttpClient,
    private readonly auth: AuthHeaders,
    private readonly routes: TaskRoutes,
    private readonly settings: { baseUrl: string; webSocketAuth: WebSocketAuth },
  ) {}

  get usesTickets(): boolean {
    return this.settings.webSocketAuth === 'ticket';
  }

  /** Of a connection that begins with this task. */
  async addressFor(taskId: string, signal: AbortSignal): Promise<SocketAddress> {
    const { baseUrl, webSocketAuth } = this.settings;
    const ticket = this.usesTickets ? await this.ticket(taskId, signal) : undefined;
    const address = webSocketAddress(addressOf(baseUrl, this.routes.webSocket(), { ticket }));
    if (webSocketAuth === 'ticket' || webSocketAuth === 'none') return { address, protocols: [], headers: {} };
    const headers = await this.auth.headers({ operation: 'stream', taskId }, signal);
    if (webSocketAuth === 'header') return { address, protocols: [], headers };
    return { address, protocols: ['taskbridge', ...bearer(headers)], headers: {} };
  }

  /** Good for one subscription of this task. */
  async ticket(taskId: string, signal: AbortSignal): Promise<string> {
    const request = {
      operation: 'ticket',
      taskId,
      method: 'POST',
      route: this.routes.tickets(taskId),
      signal,
      answer: 'ticket',
    } as const;
    return (await this.http.json<{ ticket: string }>(request)).ticket;
  }
}

function bearer(headers: Record<string, string>): string[] {
  const entry = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization');
  const token = /^Bearer (.+)$/i.exec(entry?.[1] ?? '')?.[1];
  return token === undefined ? [] : [`bearer.${token}`];
}
