import type { GapMode, WebSocketSubscribeRequest } from '@taskbridge/protocol';
import type { RawData } from 'ws';

/** What a client may ask for: the one frame it sends. Members that the wire does not define are ignored. */
export type SubscribeFrame = Required<Pick<WebSocketSubscribeRequest, 'action' | 'taskId' | 'lastEventId'>> & {
  gap: GapMode | undefined;
};

/** `undefined` for anything that is not a subscribe frame; whether its cursor is one is for the log to say. */
export function parseSubscribe(data: RawData, isBinary: boolean): SubscribeFrame | undefined {
  if (isBinary) return undefined;
  const { action, taskId, lastEventId = null, gap } = parseObject(data);
  if (action !== 'subscribe' || typeof taskId !== 'string' || taskId === '') return undefined;
  if (lastEventId !== null && typeof lastEventId !== 'string') return undefined;
  if (gap !== undefined && gap !== 'error') return undefined;
  return { action, taskId, lastEventId, gap };
}

function parseObject(data: RawData): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(textOf(data));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return Buffer.isBuffer(data) ? data.toString() : Buffer.from(data).toString();
}
