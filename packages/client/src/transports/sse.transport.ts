import type { DiagnosticsListener } from '../diagnostics.js';
import type { HttpClient } from '../http/http-client.js';
import type { TaskRoutes } from '../routes.js';
import { SseParser } from './sse-parser.js';
import { type Subscription, type TaskTransport, type TransportFrame, TransportUnsupportedError } from './transport.js';
import { WireFrames } from './wire-frames.js';

/** Server-sent events read by `fetch`, because a browser's `EventSource` can send no headers. */
export class SseTransport implements TaskTransport {
  readonly name = 'sse';

  constructor(
    private readonly http: HttpClient,
    private readonly routes: TaskRoutes,
    private readonly diagnostics: DiagnosticsListener,
  ) {}

  async *open(subscription: Subscription): AsyncGenerator<TransportFrame, void> {
    const wire = new WireFrames(subscription.taskId, this.name, this.diagnostics);
    let response: Response;
    try {
      response = await this.#request(subscription);
    } catch (error) {
      yield wire.gapOf(error);
      return;
    }
    yield* this.#frames(response, wire);
  }

  #request({ taskId, afterEventId, signal }: Subscription): Promise<Response> {
    return this.http.send({
      operation: 'stream',
      taskId,
      route: this.routes.stream(taskId),
      query: { lastEventId: afterEventId, gap: 'error' },
      headers: { accept: 'text/event-stream' },
      signal,
    });
  }

  async *#frames(response: Response, wire: WireFrames): AsyncGenerator<TransportFrame, void> {
    if (response.status === 204) {
      yield { kind: 'end' };
      return;
    }
    const reader = eventStreamOf(response).getReader();
    const parser = new SseParser();
    const decoder = new TextDecoder();
    try {
      for (let isFirst = true; ; isFirst = false) {
        const { done, value } = await reader.read();
        if (done) return;
        yield { kind: isFirst ? 'open' : 'alive' };
        for (const data of parser.push(decoder.decode(value, { stream: true }))) yield wire.read(data);
      }
    } finally {
      reader.cancel().catch(() => undefined);
    }
  }
}

function eventStreamOf({ headers, body }: Response): ReadableStream<Uint8Array> {
  const isEventStream = headers.get('content-type')?.toLowerCase().startsWith('text/event-stream');
  // React Native's answers have no body to read from.
  if (!isEventStream || !body) throw new TransportUnsupportedError('No event stream');
  return body;
}
