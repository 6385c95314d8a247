/** `observable`: the host's own subscription to `TaskEventStream.events$`. */
export type StreamTransport = 'sse' | 'websocket' | 'poll' | 'observable';

/**
 * Why a stream ended: its task did, the client left, or the server closed it with a retryable or final signal. `gap`:
 * events were trimmed ahead of a reader that asked to be told; `deleted`: retention has removed the task;
 * `unsubscribed`: the client goes on without this task.
 */
export type StreamCloseReason =
  | 'terminal'
  | 'unsubscribed'
  | 'client_gone'
  | 'stalled'
  | 'shutdown'
  | 'refused'
  | 'idle_unsubscribed'
  | 'gap'
  | 'deleted'
  | 'error';

export type TransportDiagnostic =
  | { kind: 'replay_start'; transport: StreamTransport; taskId: string; afterSeq: number }
  | { kind: 'delivery'; transport: StreamTransport; taskId: string; fromSeq: number; toSeq: number }
  /** Events after `afterSeq` are no longer stored: the stream skips to `retainedFromSeq`, or is refused. */
  | { kind: 'gap'; transport: StreamTransport; taskId: string; afterSeq: number; retainedFromSeq: number }
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
