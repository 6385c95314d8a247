import { SseParser } from './sse-parser.js';
import { type Subscription, type TaskTransport, type TransportFrame, TransportUnsupportedError } from './transport.js';
import type { TransportParts } from './transports.js';
import { WireFrames } from './wire-frames.js';

/** Server-sent events read by `fetch`, because a browser's `EventSource` can send no headers. */
export class SseTransport implements TaskTransport {
  readonly #parts: TransportParts;
  /** How many more connections may be held. */
  #free: number;
  readonly name = 'sse';

  constructor(parts: TransportParts, free: number) {
    this.#parts = parts;
    this.#free = free;
  }

  async *open(subscription: Subscription): AsyncGenerator<TransportFrame, void> {
    if (this.#free <= 0) throw new TransportUnsupportedError('Too many streams');
    this.#free -= 1;
    const wire = new WireFrames(subscription.taskId, this.name, this.#parts.diagnostics);
    try {
      const response = await this.#request(subscription).catch((error: unknown) => wire.gapOf(error));
      if ('kind' in response) yield response;
      else yield* this.#frames(response, wire);
    } finally {
      this.#free += 1;
    }
  }

  #request({ taskId, afterEventId, signal }: Subscription): Promise<Response> {
    return this.#parts.http.send({
      operation: 'stream',
      taskId,
      route: this.#parts.routes.stream(taskId),
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
