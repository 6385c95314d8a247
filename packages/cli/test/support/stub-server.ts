import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';

/**
 * Answers by method and path, with 404 where the answer has a `code`: what a server may say that is none of ours. A
 * number is a status without more, a function makes the answer of the address, if need be as the text that it is.
 */
export class StubServer {
  answers: Record<string, unknown> = {};
  /** As they came: method and path. */
  readonly requests: string[] = [];
  private readonly sockets = new WebSocketServer({ noServer: true });

  private constructor(private readonly server: Server) {
    server.on('request', ({ method, url = '' }, response) => {
      const request = `${method} ${url.replace(/\?.*/, '')}`;
      this.requests.push(request);
      const set = this.answers[request] ?? {};
      const answer: unknown = typeof set === 'function' ? set(new URL(url, 'http://stub')) : set;
      const status = Object.hasOwn(Object(answer), 'code') ? 404 : 200;
      response.writeHead(typeof answer === 'number' ? answer : status, { 'content-type': 'application/json' });
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
  }

  static async listen(): Promise<StubServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    return new StubServer(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** From now on WebSockets are accepted, and nothing passes after that, not even their end. */
  acceptWebSockets(): void {
    this.server.on('upgrade', (request, socket, head) => {
      this.requests.push('UPGRADE');
      this.sockets.handleUpgrade(request, socket, head, () => socket.pause());
    });
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    for (const socket of this.sockets.clients) socket.terminate();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
