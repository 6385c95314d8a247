import { CLOSE_CODES } from '@taskbridge/protocol';
import { RequestRefusedError } from '../errors.js';
import type { SocketClose } from './socket.js';

/** What a close stands for: a refusal for good where the server says so, otherwise a connection that broke. */
export function errorOfClose({ code, reason }: SocketClose): Error {
  const [, refusal] = /^([A-Z][A-Z_]+)(?::|$)/.exec(reason) ?? [];
  const isFinal = code === CLOSE_CODES.refused || (code >= 4400 && code <= 4499);
  if (isFinal && refusal !== undefined) return new RequestRefusedError(refusal, reason, { status: 0 });
  return new Error(`The WebSocket closed with ${code}${reason && `: ${reason}`}`);
}
