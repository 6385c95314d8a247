import { SUBSCRIPTION_REFUSAL_CODES, type SubscriptionEndedFrame } from '@taskbridge/protocol';
import { throwIfAborted } from '../abort.js';
import { RequestRefusedError } from '../errors.js';
import { limited } from '../wait.js';
import type { Mailbox } from './mailbox.js';
import { type SharedMessage, SharedSocket } from './shared-socket.js';
import { errorOfClose } from './socket-close.js';
import type { SocketOpener } from './socket-opener.js';
import { type Subscription, subscribeRequest, type TaskTransport, type TransportFrame } from './transport.js';
import type { TransportParts } from './transports.js';
import { WireFrames } from './wire-frames.js';

interface BegunSubscription {
  socket: SharedSocket;
  mailbox: Mailbox<SharedMessage>;
}

/** Many tasks on one WebSocket; another one is opened when the server takes no more on the first. */
export class MultiplexTransport implements TaskTransport {
  readonly #opener: SocketOpener;
  readonly #parts: TransportParts;
  readonly name = 'websocket';
  #sockets: SharedSocket[] = [];
  /** One at a time: subscriptions that come together find the first one's socket. */
  #connecting: Promise<unknown> = Promise.resolve();

  constructor(opener: SocketOpener, parts: TransportParts) {
    this.#opener = opener;
    this.#parts = parts;
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
    this.#sockets = [];
  }

  async *open(subscription: Subscription): AsyncGenerator<TransportFrame, void> {
    for (let end: SubscriptionEndedFrame | undefined; end === undefined || isOfSocket(end);) {
      const { socket, mailbox } = await this.#subscribe(subscription);
      try {
        end = yield* this.#frames(mailbox, subscription);
        socket.isFull ||= isOfSocket(end);
      } finally {
        socket.unsubscribe(subscription.taskId, mailbox);
      }
      if (end.reason === 'TERMINAL') yield { kind: 'end' };
      else if (!isOfSocket(end)) throw errorOfEnd(end);
    }
  }

  async #subscribe(subscription: Subscription): Promise<BegunSubscription> {
    const { taskId, signal } = subscription;
    const request = subscribeRequest(subscription);
    for (;;) {
      throwIfAborted(signal);
      const socket = this.#socketFor(taskId);
      if (socket) {
        const ticket = this.#opener.usesTickets ? await this.#opener.ticket(taskId, signal) : undefined;
        if (socket.canTake(taskId)) return { socket, mailbox: socket.subscribe({ ...request, ticket }) };
      } else {
        const fresh = await this.#inTurn(signal, async (own) =>
          this.#socketFor(taskId) ? undefined : this.#connect(taskId, own),
        );
        if (fresh?.canTake(taskId)) return { socket: fresh, mailbox: fresh.subscribe(request) };
      }
    }
  }

  #socketFor(taskId: string): SharedSocket | undefined {
    for (const socket of this.#sockets) if (socket.isSilent(this.#parts.recovery.livenessTimeoutMs)) socket.close();
    return this.#sockets.find((socket) => socket.canTake(taskId));
  }

  /** Others wait for it: one that hangs leaves them the other half of their time. */
  #inTurn<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const turn = this.#connecting.then(() => limited(work, this.#parts.recovery.openTimeoutMs / 2, signal));
    this.#connecting = turn.catch(() => undefined);
    return turn;
  }

  /** The ticket that opens a connection is good for its first subscription too. */
  async #connect(taskId: string, signal: AbortSignal): Promise<SharedSocket> {
    const shared = new SharedSocket(await this.#opener.open(taskId, signal));
    if (signal.aborted) shared.close();
    this.#sockets = [...this.#sockets.filter((one) => !one.isOver), shared];
    return shared;
  }

  /** Returns the end of the subscription; throws when the socket ends before it. */
  async *#frames(
    mailbox: Mailbox<SharedMessage>,
    { taskId, signal }: Subscription,
  ): AsyncGenerator<TransportFrame, SubscriptionEndedFrame> {
    const wire = new WireFrames(taskId, this.name, this.#parts.diagnostics);
    for (let isOpen = false; ;) {
      const message = await mailbox.next(signal);
      if (message === null) {
        if (isOpen) yield { kind: 'alive' };
      } else if (typeof message === 'string') {
        if (!isOpen) yield { kind: 'open' };
        isOpen = true;
        yield wire.read(message);
      } else if ('code' in message) {
        // Whose frame broke the rules, it does not say.
        throw message.reason.startsWith('INVALID_REQUEST') ? new Error(message.reason) : errorOfClose(message);
      } else {
        return message;
      }
    }
  }
}

/** A refusal that says nothing of the task: another socket takes it. */
function isOfSocket({ error }: SubscriptionEndedFrame): boolean {
  return (SUBSCRIPTION_REFUSAL_CODES as readonly (string | undefined)[]).includes(error?.code);
}

function errorOfEnd({ reason, error }: SubscriptionEndedFrame): Error {
  const { code = reason, message = reason } = error ?? {};
  return reason === 'REFUSED' ? new RequestRefusedError(code, message, { status: 0 }) : new Error(message);
}
