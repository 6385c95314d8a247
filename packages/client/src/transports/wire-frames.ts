import { type EventGap, parseCursor } from '@taskbridge/protocol';
import type { DiagnosticsListener } from '../diagnostics.js';
import { RequestRefusedError } from '../errors.js';
import { membersOf } from '../http/refusal.js';
import { toTaskEvent } from '../task-events.js';
import type { TransportFrame, TransportName } from './transport.js';

/** Reads the JSON documents of one connection, and reports each one. */
export class WireFrames {
  readonly #taskId: string;
  readonly #transport: TransportName;
  readonly #diagnostics: DiagnosticsListener;

  constructor(taskId: string, transport: TransportName, diagnostics: DiagnosticsListener) {
    this.#taskId = taskId;
    this.#transport = transport;
    this.#diagnostics = diagnostics;
  }

  /** Events, gaps, and everything else as a sign of life. */
  read(data: string): TransportFrame {
    this.#report('raw-payload', data);
    const frame = membersOf(data);
    if (typeof frame['type'] !== 'string') throw this.#malformed(data);
    if (frame['type'] === 'GAP') return this.#gap(frame, data);
    return frame['eventId'] === undefined ? { kind: 'alive' } : this.event(frame, data);
  }

  /** One event of a page. */
  event(raw: unknown, data = JSON.stringify(raw)): TransportFrame {
    const event = toTaskEvent(raw, this.#taskId);
    if (event === undefined) throw this.#malformed(data);
    if (event.type === 'UNKNOWN') this.#report('unknown-event', data);
    return { kind: 'event', event };
  }

  /** The gap that a refusal tells of; throws any other. */
  gapOf(error: unknown): TransportFrame {
    if (!(error instanceof RequestRefusedError) || error.code !== 'EVENT_GAP') throw error;
    return this.#gap(error.details, JSON.stringify(error.details));
  }

  #gap(raw: unknown, data = ''): TransportFrame {
    if (isGap(raw)) return { kind: 'gap', gap: raw };
    throw this.#malformed(data);
  }

  /** What follows a frame that cannot be read may not be trusted: its connection is given up. */
  #malformed(data: string): Error {
    this.#report('malformed-payload', data);
    return new Error(`Not a frame: ${data.slice(0, 200)}`);
  }

  #report(kind: 'raw-payload' | 'malformed-payload' | 'unknown-event', data: string): void {
    this.#diagnostics({ kind, taskId: this.#taskId, transport: this.#transport, data });
  }
}

function isGap(raw: unknown): raw is EventGap {
  const { retainedFromEventId, snapshot } = (raw ?? {}) as Partial<EventGap>;
  return Boolean(parseCursor(retainedFromEventId) && snapshot && parseCursor(snapshot.lastEventId) !== null);
}
