import type { PollEventsResponse } from '@taskbridge/protocol';
import type { DiagnosticsListener } from '../diagnostics.js';
import type { HttpClient } from '../http/http-client.js';
import type { TaskRoutes } from '../routes.js';
import type { Subscription, TaskTransport, TransportFrame } from './transport.js';
import { WireFrames } from './wire-frames.js';

const MAX_EVENTS = 200;

/** Long polling. Its first request does not wait, so that the transport is known to work at once. */
export class PollTransport implements TaskTransport {
  readonly name = 'poll';

  constructor(
    private readonly http: HttpClient,
    private readonly routes: TaskRoutes,
    private readonly diagnostics: DiagnosticsListener,
    private readonly waitMs: number,
  ) {}

  async *open({ taskId, afterEventId, signal }: Subscription): AsyncGenerator<TransportFrame, void> {
    const wire = new WireFrames(taskId, this.name, this.diagnostics);
    let cursor = afterEventId;
    let waitTimeoutMs = 0;
    for (let isFirst = true; ; isFirst = false) {
      const askedAt = performance.now();
      const query = { afterEventId: cursor, waitTimeoutMs };
      const page = await this.#page(taskId, query, signal).catch((error: unknown) => wire.gapOf(error));
      if ('kind' in page) return yield page;
      yield { kind: isFirst ? 'open' : 'alive' };
      for (const event of page.events) yield wire.event(event);
      // A log that has ended is not waited on.
      if (page.events.length === 0 && performance.now() - askedAt < waitTimeoutMs / 2) return yield { kind: 'end' };
      cursor = page.nextAfterEventId ?? cursor;
      waitTimeoutMs = page.hasMore ? 0 : this.waitMs;
    }
  }

  #page(
    taskId: string,
    query: { afterEventId: string; waitTimeoutMs: number },
    signal: AbortSignal,
  ): Promise<PollEventsResponse> {
    const request = { operation: 'poll', taskId, route: this.routes.events(taskId), signal, answer: 'events' };
    return this.http.json({ ...request, query: { ...query, maxEvents: MAX_EVENTS, gap: 'error' } });
  }
}
