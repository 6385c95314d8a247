import { WEB_SOCKET_SUBPROTOCOL } from '@taskbridge/protocol';

/** What carries credentials, or is too long for a name. */
const CREDENTIALS = /bearer|token|ticket|.{41}/i;

/**
 * The subprotocol that the upgrade is answered with: the wire's own where it is offered, otherwise the first that does
 * not carry credentials, because a client that offers some expects one of them. `false` selects none.
 */
export function selectSubprotocol(offered: Set<string>): string | false {
  if (offered.has(WEB_SOCKET_SUBPROTOCOL)) return WEB_SOCKET_SUBPROTOCOL;
  return [...offered].find((subprotocol) => !CREDENTIALS.test(subprotocol)) ?? false;
}
