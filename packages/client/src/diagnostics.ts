import type { TransportName } from './transports/transport.js';

/** Something an operator may want to know; nothing here asks for an action. */
export type Diagnostic =
  /** A connection is being made, is accepted by the server, or is over. */
  | { kind: 'connecting' | 'connected'; taskId: string; transport: TransportName; afterEventId: string }
  | { kind: 'disconnected'; taskId: string; transport: TransportName; reason: string; error?: unknown }
  /** The next connection uses another transport: a worse one because of `reason`, or a better one again. */
  | { kind: 'fallback' | 'climb'; taskId: string; from: TransportName; to: TransportName; reason: string }
  /** A transport cannot be used here at all. */
  | { kind: 'transport-missing'; transport: TransportName; reason: string }
  /** The next try of a stream or of a command comes after `delayMs`. */
  | { kind: 'retry'; operation: string; attempt: number; delayMs: number; error?: unknown; taskId?: string }
  /** The device is offline: nothing is tried until it is back. */
  | { kind: 'offline'; taskId?: string }
  | { kind: 'token-refresh'; operation: string }
  /** A frame as it came, before it is read. */
  | { kind: 'raw-payload'; taskId: string; transport: TransportName; data: string }
  /** A frame that could not be read, and an event that is passed on as `UNKNOWN`. */
  | { kind: 'malformed-payload' | 'unknown-event'; taskId: string; transport: TransportName; data: string }
  /** The stored checkpoint is not one of this log: it is removed, and the log read from its start. */
  | { kind: 'stale-checkpoint'; taskId: string; lastEventId: string; error: unknown }
  /** The store failed, or takes too long; the stream goes on, and may repeat events after a restart. */
  | { kind: 'store-failure'; operation: 'load' | 'save' | 'clear'; taskId: string; error: unknown };

/** Called synchronously and often; what it throws, or rejects with, is ignored. */
export type DiagnosticsListener = (diagnostic: Diagnostic) => unknown;

/** A listener that cannot disturb its caller. */
export function quiet(listener: DiagnosticsListener | undefined): DiagnosticsListener {
  return async (diagnostic) => {
    try {
      await listener?.(diagnostic);
    } catch {
      // A listener's fault is its own.
    }
  };
}
