import type { FastifyReply } from 'fastify';

/** Sends one JSON answer, unless a host's interceptor has answered in the meantime. */
export function sendJson(reply: FastifyReply, status: number, body: object): void {
  if (reply.sent || reply.raw.headersSent) return;
  // Answers are the caller's own and change from one request to the next.
  if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store');
  void reply.status(status).type('application/json; charset=utf-8').send(body);
}

/** Aborted when the client leaves before the answer, or when something else has answered. */
export function clientGone(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  return gone.signal;
}
