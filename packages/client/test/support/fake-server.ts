import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Diagnostic, TaskBridgeClient, type TaskBridgeClientOptions } from '@taskbridge/client';

export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Answers as a test says, which a real server would not; with clients of it. */
export class FakeServer {
  answer: Answer = (_, response) => void response.writeHead(500).end();
  /** The path and query of each request. */
  asked: string[] = [];
  /** What its clients report. */
  diagnostics: Diagnostic[] = [];
  server: Server;

  /** A new one for each test of a suite. */
  static forEach(): FakeServer {
    const fake = new FakeServer();
    beforeEach(() => fake.start());
    afterEach(() => fake.close());
    return fake;
  }

  clientOf({ recovery, ...options }: Partial<TaskBridgeClientOptions> = {}): TaskBridgeClient {
    return new TaskBridgeClient({
      baseUrl: `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`,
      transports: ['sse'],
      recovery: { initialDelayMs: 5, ...recovery },
      diagnostics: (entry) => this.diagnostics.push(entry),
      ...options,
    });
  }

  private async start(): Promise<void> {
    this.asked = [];
    this.diagnostics = [];
    this.server = createServer((request, response) => {
      this.asked.push(request.url ?? '');
      void this.answer(request, response);
    });
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', () => resolve()));
  }

  private close(): Promise<unknown> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }
}

/** The ids of all events of `task-1`, in the order in which they come. */
export async function read(client: TaskBridgeClient, options = {}): Promise<string[]> {
  const seen: string[] = [];
  for await (const { eventId } of client.observeTaskEvents('task-1', options)) seen.push(eventId);
  return seen;
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
