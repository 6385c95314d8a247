import type { EventGap } from '@taskbridge/protocol';
import type { DiagnosticsListener } from '../diagnostics.js';
import { toTaskEvent } from '../task-events.js';
import type { TransportFrame, TransportName } from './transport.js';

/** A frame that cannot be read: what follows it may not be trusted, so its connection is given up. */
export class MalformedFrameError extends Error {
  override readonly name = 'MalformedFrameError';
}

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
    if (frame.type === 'GAP') return { kind: 'gap', gap: frame as unknown as EventGap };
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

  private parse(data: string): Record<string, unknown> {
    try {
      const value: unknown = JSON.parse(data);
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // Reported below, like any other document that is not a frame.
    }
    throw this.malformed(data);
  }

  private malformed(data: string): MalformedFrameError {
    this.report('malformed-payload', data);
    return new MalformedFrameError(`Not a frame of task ${this.taskId}: ${data.slice(0, 200)}`);
  }

  private report(kind: 'raw-payload' | 'malformed-payload' | 'unknown-event', data: string): void {
    this.diagnostics({ kind, taskId: this.taskId, transport: this.transport, data });
  }
}
