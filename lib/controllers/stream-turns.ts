import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { TaskBridgeError } from '../taskbridge.errors.js';

/**
 * One stream per connection, begun when its response is the next to be sent. A client that pipelines has its responses
 * queued; a queued one has no socket, so that it would neither send nor learn that the client has left. As a stream ends
 * with its connection, whatever is queued behind it is never sent.
 */
export class StreamTurns {
  private readonly taken = new WeakSet<Socket>();

  /** Resolves at the turn, or with `false` once the client has left; rejects a second one with `SERVICE_UNAVAILABLE`. */
  async take({ socket }: IncomingMessage, response: ServerResponse): Promise<boolean> {
    if (this.taken.has(socket)) {
      throw new TaskBridgeError('SERVICE_UNAVAILABLE', 'This connection has its stream already: use one for each');
    }
    this.taken.add(socket);
    if (!response.socket && !socket.destroyed) await turnOf(socket, response);
    return !socket.destroyed && !response.destroyed;
  }
}

function turnOf(socket: Socket, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      socket.off('close', settle);
      response.off('socket', settle);
      resolve();
    };
    socket.once('close', settle);
    response.once('socket', settle);
  });
}
