import { formatEventId } from '@taskbridge/protocol';
import type { LogEvent } from '../../lib/stores/records.js';
import { nowUs } from './load.js';
import { benchPayload } from './payload.js';

/** An event as the append lane hands it to the live path once it is durable; it carries the time of this call. */
export function liveEvent(taskId: string, seq: number): LogEvent {
  const payloadJson = JSON.stringify(benchPayload(`t=${nowUs()}`));
  return { taskId, seq, type: 'TASK_PROGRESS', createdAt: new Date().toISOString(), payloadJson };
}

/** The envelope of such an event, as a bare server would write it. */
export function bareEnvelope(taskId: string, seq: number): string {
  const payload = benchPayload(`t=${nowUs()}`);
  const createdAt = new Date().toISOString();
  return JSON.stringify({ type: 'TASK_PROGRESS', taskId, eventId: formatEventId(seq), createdAt, payload });
}

/** The bytes of one event on a bare server, ready for any number of clients. */
export function bareBytes(kind: 'sse' | 'websocket', taskId: string, seq: number): Buffer {
  const envelope = bareEnvelope(taskId, seq);
  return Buffer.from(kind === 'sse' ? `id: ${formatEventId(seq)}\ndata: ${envelope}\n\n` : envelope);
}
