import { type EventGap, parseCursor } from '@taskbridge/protocol';
import type { DiagnosticsListener } from '../diagnostics.js';
import { RequestRefusedError } from '../errors.js';
import { toTaskEvent } from '../task-events.js';
import type { TransportFrame, TransportName } from './transport.js';

/** Reads the JSON documents of one connection, and reports each one. */
export class WireFrames {
  constructor(
    private readonly taskId: string,
    private readonly transport: TransportName,
    private readonly diagnostics: DiagnosticsListener,
  ) {}

  /** Events, gaps, and everything else as a sign of life. */
  read(data: string): TransportFrame {
    this.report('raw-payload', data);
    const frame = this.parse(data);
    if (frame.type === 'GAP') return this.gap(frame, data);
    if (frame.type === 'HEARTBEAT' || frame.eventId === undefined) return { kind: 'alive' };
    return this.event(frame, data);
  }

  /** One event of a page. */
  event(raw: unknown, data = JSON.stringify(raw)): TransportFrame {
    const event = toTaskEvent(raw, this.taskId);
    if (event === undefined) throw this.malformed(data);
    if (event.type === 'UNKNOWN') this.report('unknown-event', data);
    return { kind: 'event', event };
  }

  /** The gap that a refusal tells of; throws any other. */
  gapOf(error: unknown): TransportFrame {
    if (!(error instanceof RequestRefusedError) || error.code !== 'EVENT_GAP') throw error;
    return this.gap(error.details, JSON.stringify(error.details));
  }

  private gap(raw: unknown, data = ''): TransportFrame {
    if (isGap(raw)) return { kind: 'gap', gap: raw };
    throw this.malformed(data);
  }

  private parse(data: string): Record<string, unknown> {
    try {
      const value: unknown = JSON.parse(data);
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // Reported below, like any other document that is not a frame.
    }
    throw this.malformed(data);
  }

  /** What follows a frame that cannot be read may not be trusted: its connection is given up. */
  private malformed(data: string): Error {
    this.report('malformed-payload', data);
    return new Error(`Not a frame: ${data.slice(0, 200)}`);
  }

  private report(kind: 'raw-payload' | 'malformed-payload' | 'unknown-event', data: string): void {
    this.diagnostics({ kind, taskId: this.taskId, transport: this.transport, data });
  }
}

function isGap(raw: unknown): raw is EventGap {
  const { retainedFromEventId, snapshot } = (raw ?? {}) as Partial<EventGap>;
  return Boolean(parseCursor(retainedFromEventId) && snapshot && parseCursor(snapshot.lastEventId) !== null);
}
