import { CLOSE_CODES } from '@taskbridge/protocol';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { isOutage } from '../stores/outage.js';
import { isTaskBridgeError } from '../taskbridge.errors.js';
import type { WebSocketStreamSettings } from '../taskbridge.options.js';

/** How a WebSocket is closed; the reason starts with a word that a client may branch on. */
export interface CloseSignal {
  code: number;
  reason: string;
}

type CloseCodeSettings = Pick<WebSocketStreamSettings, 'refusedCloseCode' | 'endCloseCode'>;

const MAX_REASON_BYTES = 123;

/** The close for a request that failed: final for a refusal, retryable for anything else. */
export function closeOfError(error: unknown, { refusedCloseCode }: CloseCodeSettings): CloseSignal {
  if (isOutage(error)) return { code: CLOSE_CODES.tryLater, reason: 'SERVICE_UNAVAILABLE' };
  if (!isTaskBridgeError(error)) return { code: CLOSE_CODES.tryLater, reason: 'INTERNAL_ERROR' };
  if (error.code === 'SERVICE_UNAVAILABLE') return { code: CLOSE_CODES.restart, reason: error.code };
  return { code: refusedCloseCode, reason: shorten(`${error.code}: ${error.message}`) };
}

/** The close for a stream that has ended. */
export function closeOfStream(
  reason: StreamCloseReason,
  { endCloseCode, refusedCloseCode }: CloseCodeSettings,
): CloseSignal {
  if (reason === 'terminal') return { code: endCloseCode, reason: 'TASK_ENDED' };
  if (reason === 'shutdown') return { code: CLOSE_CODES.restart, reason: 'SERVICE_UNAVAILABLE' };
  if (reason === 'deleted') return { code: refusedCloseCode, reason: 'TASK_NOT_FOUND' };
  return { code: CLOSE_CODES.tryLater, reason: reason.toUpperCase() };
}

/** Cuts at a whole character; the text may hold whatever the client sent. */
function shorten(text: string): string {
  let cut = text.slice(0, MAX_REASON_BYTES);
  while (Buffer.byteLength(cut) > MAX_REASON_BYTES) cut = cut.slice(0, -1);
  return cut.replace(/[\ud800-\udbff]$/, '');
}
