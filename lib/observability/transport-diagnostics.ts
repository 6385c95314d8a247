/** `observable`: the host's own subscription to `TaskEventStream.events$`. */
export type StreamTransport = 'sse' | 'websocket' | 'poll' | 'observable';

/** Why a stream ended: its task did, the client left, or the server closed it with a retryable or final signal. */
export type StreamCloseReason =
  'terminal' | 'client_gone' | 'stalled' | 'shutdown' | 'refused' | 'idle_unsubscribed' | 'error';

export type TransportDiagnostic =
  | { kind: 'replay_start'; transport: StreamTransport; taskId: string; afterSeq: number }
  | { kind: 'delivery'; transport: StreamTransport; taskId: string; fromSeq: number; toSeq: number }
  | { kind: 'heartbeat'; transport: StreamTransport; taskId: string; seq: number }
  | { kind: 'disconnect'; transport: StreamTransport; taskId: string; seq: number; reason: StreamCloseReason };

/** Told what each stream does; called synchronously per write, so it must be cheap and never throw. */
export abstract class TransportDiagnosticsSink {
  abstract report(diagnostic: TransportDiagnostic): void;
}

/** The default: nobody listens. */
export class NoDiagnostics extends TransportDiagnosticsSink {
  report(): void {}
}
