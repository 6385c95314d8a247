import { onAbort, throwIfAborted } from '../abort.js';
import type { Diagnostic, DiagnosticsListener } from '../diagnostics.js';
import { TaskBridgeClientError } from '../errors.js';
import type { TaskTransport, TransportFrame } from '../transports/transport.js';
import { backoffMs } from './backoff.js';
import { Connection, type ConnectionEnd, type ConnectionStep, reasonOf } from './connection.js';
import { afterClimb, afterDelivery, afterEnd, FIRST_TRY, type LadderState } from './ladder.js';
import { type NetworkStatus, pause, whenOnline } from './network-status.js';
import { after } from '../wait.js';
import { climbDelayMs, type RecoveryOptions } from './recovery-options.js';

type DistributiveOmit<T, Name extends PropertyKey> = T extends unknown ? Omit<T, Name> : never;

export interface ReconnectingStreamOptions {
  taskId: string;
  signal: AbortSignal;
  /** The best one first; at least one. */
  transports: readonly TaskTransport[];
  recovery: RecoveryOptions;
  network: NetworkStatus;
  diagnostics: DiagnosticsListener;
  /** Where the next connection begins. */
  cursor: () => string;
}

/**
 * Frames without an end: whenever a connection is over, the next one begins at the cursor, by the transport that the
 * ladder says. Frames may come twice; order and duplicates are the reader's business.
 */
export class ReconnectingStream {
  readonly #options: ReconnectingStreamOptions;
  #state: LadderState = FIRST_TRY;
  #current: Connection | undefined;
  /** By a better transport, tried beside the current one. */
  #climb: Connection | undefined;
  #climbAt = 0;
  #wasOnline: boolean;
  readonly #release: () => void;

  constructor(options: ReconnectingStreamOptions) {
    this.#options = options;
    const { network, signal } = options;
    this.#wasOnline = network.isOnline();
    const unsubscribe = network.subscribe(() => this.#networkChanged());
    const forget = onAbort(signal, () => this.#current?.interrupt());
    this.#release = () => {
      unsubscribe();
      forget();
    };
  }

  /** The next frame; rejects when the server refuses, when too much has failed, and with the signal's reason. */
  async next(): Promise<TransportFrame> {
    for (;;) {
      throwIfAborted(this.#options.signal);
      const current = (this.#current ??= await this.#connect());
      const step = await this.#step(current);
      if (step && 'frame' in step) return this.#noted(step.frame);
      if (step) await this.#recover(current, step.end);
    }
  }

  /** The frame that came last was news. */
  delivered(): void {
    if (this.#current) this.#current.hasDelivered = true;
    this.#state = afterDelivery(this.#state);
  }

  /** Gives the connection up, because of an error if there is one; the next one begins at the cursor of then. */
  async restart(error?: unknown): Promise<void> {
    const current = this.#current;
    const reason = error === undefined ? 'closed' : reasonOf(error);
    if (current) await this.#recover(current, { ...current.endedBy(reason, error), hasLasted: false });
  }

  close(): void {
    this.#release();
    this.#current?.close();
    this.#climb?.close();
  }

  /** What comes next of the current connection, or of the better one that takes its place; `undefined`: look again. */
  async #step(current: Connection): Promise<ConnectionStep | undefined> {
    if (this.#state.rung === 0) return current.take(await current.next());
    this.#climb ??= performance.now() < this.#climbAt ? undefined : this.#open(0);
    const climb = this.#climb;
    const waits = [current.next().then((step) => ({ step, from: current }))];
    if (climb) waits.push(climb.next().then((step) => ({ step, from: climb })));
    const first = await this.#firstOf(waits);
    if (first === undefined) return undefined;
    const step = first.from.take(first.step);
    return first.from === climb ? this.#climbed(climb, step) : step;
  }

  /** `undefined` when it is time to climb before any of them. */
  #firstOf<T>(waits: readonly Promise<T>[]): Promise<T | undefined> {
    if (this.#climb) return Promise.race(waits);
    let cancelTimer: (() => void) | undefined;
    const climbTime = new Promise<undefined>((resolve) => {
      cancelTimer = after(this.#climbAt - performance.now(), () => resolve(undefined));
    });
    return Promise.race([...waits, climbTime]).finally(() => cancelTimer?.());
  }

  #climbed(connection: Connection, step: ConnectionStep): ConnectionStep | undefined {
    const { rung } = connection;
    this.#climb = undefined;
    if ('frame' in step) {
      this.#current?.close();
      this.#current = connection;
      this.#moveTo(afterClimb(this.#state, rung), 'works again');
      return step;
    }
    this.#lost(connection, step.end);
    if (rung + 1 < this.#state.rung) this.#climb = this.#open(rung + 1);
    else this.#moveTo(afterClimb(this.#state, this.#state.rung), '');
    return undefined;
  }

  async #recover(connection: Connection, end: ConnectionEnd): Promise<void> {
    const { signal, transports, recovery } = this.#options;
    const before = this.#state;
    this.#current = undefined;
    this.#climb?.close();
    this.#climb = undefined;
    this.#lost(connection, end);
    throwIfAborted(signal);
    if (end.reason === 'refused') throw end.error;
    const { state, pauses } = afterEnd(before, end, transports.length, recovery.policy);
    if (state.failures > 0 && state.failures >= recovery.maxFailures) {
      throw new TaskBridgeClientError('CONNECTION_FAILED', 'Too many failures', { cause: end.error });
    }
    this.#moveTo(state, end.reason);
    if (pauses || end.retryAfterMs) await this.#pause(end, pauses ? state.failures : 0);
  }

  async #pause({ error, retryAfterMs }: ConnectionEnd, attempt: number): Promise<void> {
    const { recovery, network, signal } = this.#options;
    const delayMs = backoffMs(Math.max(0, attempt - 1), recovery, retryAfterMs);
    this.#tell({ kind: 'retry', operation: 'stream', attempt, delayMs, error });
    await pause(delayMs, network, signal);
  }

  async #connect(): Promise<Connection> {
    const { network, signal } = this.#options;
    await whenOnline(network, signal, () => this.#tell({ kind: 'offline' }));
    return this.#open(this.#state.rung);
  }

  #open(rung: number): Connection {
    const { transports, taskId, signal, recovery, cursor } = this.#options;
    const transport = transports[rung];
    const afterEventId = cursor();
    this.#tell({ kind: 'connecting', transport: transport.name, afterEventId });
    return new Connection(rung, transport, { taskId, afterEventId, signal }, recovery);
  }

  #lost(connection: Connection, { reason, error }: ConnectionEnd): void {
    connection.close();
    this.#tell({ kind: 'disconnected', transport: connection.name, reason, error });
  }

  #noted(frame: TransportFrame): TransportFrame {
    if (frame.kind === 'open' && this.#current) {
      this.#tell({ kind: 'connected', transport: this.#current.name, afterEventId: this.#options.cursor() });
    }
    return frame;
  }

  #moveTo(state: LadderState, reason: string): void {
    const { transports, recovery } = this.#options;
    const [from, to] = [this.#state, state].map(({ rung }) => transports[rung].name);
    if (from !== to) this.#tell({ kind: state.rung > this.#state.rung ? 'fallback' : 'climb', from, to, reason });
    this.#climbAt = performance.now() + climbDelayMs(state.climbs, recovery);
    this.#state = state;
  }

  #tell(what: DistributiveOmit<Diagnostic, 'taskId'>): void {
    const { taskId, diagnostics } = this.#options;
    diagnostics({ ...what, taskId } as Diagnostic);
  }

  /** Another network may carry what the one before did not, and none of its connections. */
  #networkChanged(): void {
    const isOnline = this.#options.network.isOnline();
    if (isOnline && !this.#wasOnline) {
      this.#moveTo(FIRST_TRY, 'online again');
      this.#current?.interrupt();
    }
    this.#wasOnline = isOnline;
  }
}
