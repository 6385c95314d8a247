import { RequestRefusedError } from '../errors.js';
import type { SocketClose } from './socket.js';

/** RFC 6455: the frame that was sent last breaks the rules. */
const REFUSED = 1008;

/** What a close stands for: a refusal for good where the server says so, otherwise a connection that broke. */
export function errorOfClose({ code, reason }: SocketClose): Error {
  const [, refusal] = /^([A-Z][A-Z_]+)(?::|$)/.exec(reason) ?? [];
  const isFinal = code === REFUSED || (code >= 4400 && code <= 4499);
  if (isFinal && refusal !== undefined) return new RequestRefusedError(refusal, reason, { status: 0 });
  return new Error(`WebSocket closed with ${code}${reason && `: ${reason}`}`);
}
