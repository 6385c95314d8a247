import { RequestRefusedError, TaskBridgeClientError } from '../errors.js';
import type { Subscription, TaskTransport, TransportFrame, TransportName } from '../transports/transport.js';
import { TransportUnsupportedError } from '../transports/transport.js';
import { after, childOf } from '../wait.js';

/** Why a connection is over. `refused`: for good, whatever the transport. */
export type EndReason = 'closed' | 'broken' | 'silent' | 'unsupported' | 'unavailable' | 'refused' | 'interrupted';

/** How a connection went. */
export interface ConnectionEnd {
  reason: EndReason;
  /** The server had accepted it. */
  hasOpened: boolean;
  /** It brought something new. */
  hasDelivered: boolean;
  /** It was alive for long enough to count as one that works, even if nothing happened in that time. */
  hasLasted: boolean;
  retryAfterMs?: number | undefined;
  error?: unknown;
}

/** Either a frame or the end. */
export type ConnectionStep = { frame: TransportFrame } | { end: ConnectionEnd };

/** How long to wait for the first sign of life, and for each one after it. */
export interface Deadlines {
  openTimeoutMs: number;
  livenessTimeoutMs: number;
}

/** An opened connection that dies sooner than this, and brings nothing new, has failed. */
const LASTING_MS = 500;

/** One connection of one transport, watched for silence. Time that its reader spends elsewhere does not count. */
export class Connection {
  /** Set by whoever knows what is new. */
  hasDelivered = false;
  hasOpened = false;
  readonly name: TransportName;
  readonly #recovery: Deadlines;
  #openedAt = 0;
  readonly #frames: AsyncIterator<TransportFrame>;
  readonly #abort: AbortController;
  readonly #release: () => void;
  #pending: Promise<ConnectionStep> | undefined;
  #stop: ((reason: EndReason) => void) | undefined;
  #isInterrupted = false;

  constructor(
    /** Of the ladder. */
    readonly rung: number,
    transport: TaskTransport,
    { signal, ...subscription }: Subscription,
    recovery: Deadlines,
  ) {
    this.name = transport.name;
    this.#recovery = recovery;
    ({ controller: this.#abort, release: this.#release } = childOf(signal));
    this.#frames = transport.open({ ...subscription, signal: this.#abort.signal });
  }

  /** The next step; asking again before {@link take} gives the same one. */
  next(): Promise<ConnectionStep> {
    this.#pending ??= this.#isInterrupted ? Promise.resolve({ end: this.endedBy('interrupted') }) : this.#step();
    return this.#pending;
  }

  /** The step has been looked at. */
  take(step: ConnectionStep): ConnectionStep {
    this.#pending = undefined;
    return step;
  }

  /** Ends it from outside, because the network is another one now. */
  interrupt(): void {
    this.#isInterrupted = true;
    this.#stop?.('interrupted');
  }

  close(): void {
    this.#release();
    this.#abort.abort();
    this.#stop?.('interrupted');
    // A generator that waits for the network returns when its signal tells it to; one that has not begun never runs.
    void this.#frames.return?.().catch(() => undefined);
  }

  #step(): Promise<ConnectionStep> {
    const { openTimeoutMs, livenessTimeoutMs } = this.#recovery;
    return new Promise((resolve) => {
      const settle = (step: ConnectionStep): void => {
        cancelTimer();
        this.#stop = undefined;
        resolve(step);
      };
      this.#stop = (reason) => settle({ end: this.endedBy(reason) });
      const limitMs = this.hasOpened ? livenessTimeoutMs : openTimeoutMs;
      const cancelTimer = after(limitMs, () => this.#stop?.('silent'));
      this.#frames.next().then(
        ({ done, value }) => settle(done ? { end: this.endedBy('closed') } : { frame: this.#opened(value) }),
        (error: unknown) => settle({ end: this.endedBy(reasonOf(error), error) }),
      );
    });
  }

  #opened(frame: TransportFrame): TransportFrame {
    if (!this.hasOpened) this.#openedAt = performance.now();
    this.hasOpened = true;
    return frame;
  }

  /** How it went, if it is over for this reason. */
  endedBy(reason: EndReason, error?: unknown): ConnectionEnd {
    const { hasOpened, hasDelivered } = this;
    const { retryAfterMs } = (error ?? {}) as Partial<RequestRefusedError>;
    const silentMs = reason === 'silent' ? this.#recovery.livenessTimeoutMs : 0;
    const hasLasted = hasOpened && performance.now() - this.#openedAt >= LASTING_MS + silentMs;
    return { reason, hasOpened, hasDelivered, hasLasted, retryAfterMs, error };
  }
}

/** Why a connection is over that ends with this error. */
export function reasonOf(error: unknown): EndReason {
  if (error instanceof TransportUnsupportedError) return 'unsupported';
  if (!(error instanceof RequestRefusedError)) {
    return error instanceof TaskBridgeClientError && error.code !== 'CONNECTION_FAILED' ? 'refused' : 'broken';
  }
  if (error.isRetryable) return 'unavailable';
  // Another transport may get through to the server itself, or may be able to say who asks.
  const isOfTransport =
    error.code === 'UNEXPECTED_ANSWER'
      ? error.status !== 401
      : error.status === 0 && error.code === 'AUTHENTICATION_ERROR';
  return isOfTransport ? 'unsupported' : 'refused';
}
