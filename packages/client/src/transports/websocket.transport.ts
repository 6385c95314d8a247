import type { DiagnosticsListener } from '../diagnostics.js';
import { errorOfClose } from './socket-close.js';
import type { SocketOpener } from './socket-opener.js';
import type { Socket } from './socket.js';
import { type Subscription, subscribeRequest, type TaskTransport, type TransportFrame } from './transport.js';
import { WireFrames } from './wire-frames.js';

/** RFC 6455: the purpose of the connection is fulfilled. */
const NORMAL = 1000;

/** A WebSocket for each task. */
export class WebSocketTransport implements TaskTransport {
  readonly #sockets: SocketOpener;
  readonly #diagnostics: DiagnosticsListener;
  readonly name = 'websocket';

  constructor(sockets: SocketOpener, diagnostics: DiagnosticsListener) {
    this.#sockets = sockets;
    this.#diagnostics = diagnostics;
  }

  async *open(subscription: Subscription): AsyncGenerator<TransportFrame, void> {
    const { taskId, signal } = subscription;
    const socket = await this.#sockets.open(taskId, signal);
    try {
      socket.send(subscribeRequest(subscription));
      yield* this.#frames(socket, taskId, signal);
    } finally {
      socket.close();
    }
  }

  async *#frames(socket: Socket, taskId: string, signal: AbortSignal): AsyncGenerator<TransportFrame, void> {
    const wire = new WireFrames(taskId, this.name, this.#diagnostics);
    for (let isFirst = true; ; isFirst = false) {
      const message = await socket.next(signal);
      if (typeof message !== 'string') {
        if (message.code !== NORMAL || isFirst) throw errorOfClose(message);
        return yield { kind: 'end' };
      }
      if (isFirst) yield { kind: 'open' };
      yield wire.read(message);
    }
  }
}
