import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';

/** What `upgrade` of an HTTP server calls. */
export type UpgradeListener = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

export interface UpgradeRouting {
  /** Whether a WebSocket is served at this path. */
  readonly serves: (pathname: string) => boolean;
  /** Takes the upgrades of the paths that are. */
  readonly upgrade: UpgradeListener;
}

/** Headers, and words of `Connection`, that ask for another protocol. */
const ASKING = ['upgrade', 'http2-settings'];

/**
 * Listens to a server's upgrades so that its other routes stay as they are: what does not ask for a WebSocket is served
 * over HTTP as if it had asked for nothing, which the standard lets a server do; a WebSocket on a path without one is
 * answered 404. Where somebody else listens too, both are theirs. Returns the listener, to take it off again.
 */
export function routeUpgrades(server: Server, { serves, upgrade }: UpgradeRouting): UpgradeListener {
  const listener: UpgradeListener = (request, socket, head) => {
    const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
    if (isWebSocket && serves(pathnameOf(request))) upgrade(request, socket, head);
    else if (server.listenerCount('upgrade') > 1) return;
    else if (isWebSocket) refuse(socket, '404 Not Found', 'No WebSocket is served at this path\n');
    else serveOverHttp(server, request, socket, head);
  };
  server.on('upgrade', listener);
  return listener;
}

function pathnameOf({ url = '' }: IncomingMessage): string {
  return URL.canParse(url, 'http://localhost') ? new URL(url, 'http://localhost').pathname : '';
}

/** Node has taken its parser off the socket; giving the connection back makes it read the request once more. */
function serveOverHttp(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`, ...plainHeaders(request.rawHeaders)];
  // Only a parser that was told to be lenient lets these in, and written again they would mean something else.
  if (lines.some((line) => /[\r\n]/.test(line))) return refuse(socket, '400 Bad Request', 'A header is malformed\n');
  socket.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
  server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket);
}

function plainHeaders(rawHeaders: readonly string[]): string[] {
  const lines: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const [name = '', value = ''] = rawHeaders.slice(index, index + 2);
    const kept = name.toLowerCase() === 'connection' ? withoutAsking(value) : value;
    if (!ASKING.includes(name.toLowerCase()) && kept !== undefined) lines.push(`${name}: ${kept}`);
  }
  return lines;
}

/** `undefined` when nothing else was said. */
function withoutAsking(connection: string): string | undefined {
  const words = connection.split(',').map((word) => word.trim());
  return words.filter((word) => !ASKING.includes(word.toLowerCase())).join(', ') || undefined;
}

function refuse(socket: Duplex, status: string, text: string): void {
  const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8`;
  socket.on('error', ignore);
  socket.once('finish', () => socket.destroy());
  socket.end(`${head}\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
}

function ignore(): void {}
