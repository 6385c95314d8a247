import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A message as the worker sends it: the payload in base64. */
export interface DeliveredMessage {
  messageId: string;
  type: 'output' | 'truncation' | 'final';
  taskId: string;
  stream?: string;
  sequence?: number;
  status?: string;
  exitCode?: number | null;
  payload: string;
}

/** Keeps each message once. Refuses some, and takes others without its answer ever arriving. */
export class FlakyReceiver {
  /** By message id, in the order of their first arrival. */
  readonly messages = new Map<string, DeliveredMessage>();
  duplicates = 0;
  private requests = 0;
  private readonly server: Server = createServer((request, response) => {
    void this.answer(request, response);
  });

  /** Resolves with its address on this host. */
  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(port, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    const { requests } = this;
    if (requests % 5 === 0) {
      response.writeHead(503).end();
      return;
    }
    this.keep(JSON.parse(await text(request)) as DeliveredMessage);
    if (requests % 7 === 0) response.destroy();
    else response.writeHead(204).end();
  }

  private keep(message: DeliveredMessage): void {
    if (this.messages.has(message.messageId)) this.duplicates += 1;
    else this.messages.set(message.messageId, message);
  }
}
