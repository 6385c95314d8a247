import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { FollowerKind } from './bench-follower.js';

/** What connects to a bare server says which task it wants; a client of it counts the same frames as one of ours. */
export interface BareServer {
  readonly port: number;
  /** To everybody who follows the task over this transport. */
  send(kind: FollowerKind, taskId: string, bytes: Buffer): void;
  /** One heartbeat to everybody. */
  beat(): void;
  close(): void;
}

const SSE_BEAT = Buffer.from(': ping\n\n');
const WEB_SOCKET_BEAT = Buffer.from('{"type":"HEARTBEAT","live":true}');
const TEXT = { binary: false };
const HEAD = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

/** `node:http` and `ws` with nothing around them: the limit of what a server can deliver with them. */
export async function openBareServer(): Promise<BareServer> {
  const responses = new Map<string, ServerResponse[]>();
  const sockets = new Map<string, WebSocket[]>();
  const server = createServer((request, response) => {
    response.useChunkedEncodingByDefault = false;
    response.socket?.setNoDelay(true);
    response.writeHead(200, HEAD);
    response.write(':\n\n');
    add(responses, request.url?.slice(1) ?? '', response);
  });
  const webSockets = new WebSocketServer({ server, perMessageDeflate: false });
  webSockets.on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.once('message', (text: Buffer) => {
      socket.send('{"type":"SUBSCRIPTION_CONFIRMED"}');
      add(sockets, (JSON.parse(text.toString()) as { taskId: string }).taskId, socket);
    });
  });
  server.listen(0, '127.0.0.1', 8_192);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    send: (kind, taskId, bytes) => {
      if (kind === 'sse') for (const response of responses.get(taskId) ?? []) response.write(bytes);
      else for (const socket of sockets.get(taskId) ?? []) socket.send(bytes, TEXT);
    },
    beat: () => {
      for (const list of responses.values()) for (const response of list) response.write(SSE_BEAT);
      for (const socket of webSockets.clients) socket.send(WEB_SOCKET_BEAT, TEXT);
    },
    close: () => {
      server.close();
      server.closeAllConnections();
      for (const socket of webSockets.clients) socket.terminate();
    },
  };
}

function add<T>(lists: Map<string, T[]>, key: string, entry: T): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [entry]);
  else list.push(entry);
}
