import type { EventGap, PollEventsResponse } from '@taskbridge/protocol';
import type { DiagnosticsListener } from '../diagnostics.js';
import { RequestRefusedError } from '../errors.js';
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
      const askedAt = Date.now();
      const page = await this.page(taskId, { afterEventId: cursor, waitTimeoutMs }, signal);
      if ('gap' in page) return yield { kind: 'gap', gap: page.gap };
      yield { kind: isFirst ? 'open' : 'alive' };
      for (const event of page.events) yield wire.event(event);
      // A log that has ended is not waited on.
      if (page.events.length === 0 && Date.now() - askedAt < waitTimeoutMs / 2) return yield { kind: 'end' };
      cursor = page.nextAfterEventId ?? cursor;
      waitTimeoutMs = page.hasMore ? 0 : this.waitMs;
    }
  }

  private async page(
    taskId: string,
    query: { afterEventId: string; waitTimeoutMs: number },
    signal: AbortSignal,
  ): Promise<PollEventsResponse | { gap: EventGap }> {
    const request = { operation: 'poll', taskId, route: this.routes.events(taskId), signal };
    try {
      return await this.http.json({ ...request, query: { ...query, maxEvents: MAX_EVENTS, gap: 'error' } });
    } catch (error) {
      if (error instanceof RequestRefusedError && error.code === 'EVENT_GAP') {
        return { gap: error.details as unknown as EventGap };
      }
      throw error;
    }
  }
}
