import type { FastifyReply } from 'fastify';

/** Sends one JSON answer, which may be written already, unless a host's interceptor has answered in the meantime. */
export function sendJson(reply: FastifyReply, status: number, body: object | string): void {
  if (reply.sent || reply.raw.headersSent) return;
  // Answers are the caller's own and change from one request to the next.
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store');
  void reply.status(status).type('application/json; charset=utf-8').send(body);
}

/**
 * Aborted when there is nobody to wait for any more: the client has left, be it before this call, or something else has
 * answered. Also when the answer is queued behind others on its connection (pipelining): such a response never learns
 * that its client has left, and a client may queue any number.
 */
export function clientGone({ raw: response, request }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  const { socket } = request.raw;
  if (!response.socket || socket.destroyed || response.destroyed) gone.abort();
  else response.once('close', () => gone.abort());
  return gone.signal;
}
