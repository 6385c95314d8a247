import type { PollEventsResponse } from '@taskbridge/protocol';
import { limited } from '../wait.js';
import type { Subscription, TaskTransport, TransportFrame } from './transport.js';
import type { TransportParts } from './transports.js';
import { WireFrames } from './wire-frames.js';

const MAX_EVENTS = 200;

/** How long a poll waits that may not hold its connection: others, and commands, need it. */
const SHORT_WAIT_MS = 500;

/** Long polling. Its first request does not wait, so that the transport is known to work at once. */
export class PollTransport implements TaskTransport {
  readonly #parts: TransportParts;
  readonly #waitMs: number;
  /** How many more connections may be held. */
  #free: number;
  readonly name = 'poll';

  constructor(parts: TransportParts, waitMs: number, free: number) {
    this.#parts = parts;
    this.#waitMs = waitMs;
    this.#free = free;
  }

  async *open({ taskId, afterEventId, signal }: Subscription): AsyncGenerator<TransportFrame, void> {
    const wire = new WireFrames(taskId, this.name, this.#parts.diagnostics);
    let cursor = afterEventId;
    let waits = false;
    for (let isFirst = true; ; isFirst = false) {
      const held = waits && this.#free > 0 ? 1 : 0;
      this.#free -= held;
      const waitTimeoutMs: number = held ? this.#waitMs : waits ? SHORT_WAIT_MS : 0;
      const askedAt = performance.now();
      const query = { afterEventId: cursor, waitTimeoutMs };
      const page: PollEventsResponse | TransportFrame = await this.#page(taskId, query, signal)
        .catch((error: unknown) => wire.gapOf(error))
        .finally(() => (this.#free += held));
      if ('kind' in page) return yield page;
      yield { kind: isFirst ? 'open' : 'alive' };
      for (const event of page.events) yield wire.event(event);
      // A log that has ended is not waited on.
      if (page.events.length === 0 && performance.now() - askedAt < waitTimeoutMs / 2) return yield { kind: 'end' };
      cursor = page.nextAfterEventId ?? cursor;
      waits = !page.hasMore || page.events.length === 0;
    }
  }

  #page(
    taskId: string,
    query: { afterEventId: string; waitTimeoutMs: number },
    signal: AbortSignal,
  ): Promise<PollEventsResponse> {
    const request = { operation: 'poll', taskId, route: this.#parts.routes.events(taskId), answer: 'events' };
    const whole = { ...query, maxEvents: MAX_EVENTS, gap: 'error' };
    // A signal of its own: what listens to the observation's would add up.
    return limited((own) => this.#parts.http.json({ ...request, query: whole, signal: own }), Infinity, signal);
  }
}
