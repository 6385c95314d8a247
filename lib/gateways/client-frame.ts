import type { GapMode, WebSocketSubscribeRequest, WebSocketUnsubscribeRequest } from '@taskbridge/protocol';
import type { RawData } from 'ws';

/** A subscribe as the connection reads it. */
export interface SubscribeFrame extends Required<Pick<WebSocketSubscribeRequest, 'action' | 'taskId' | 'lastEventId'>> {
  gap: GapMode | undefined;
  isMultiplexed: boolean;
  /** Absent on connections that are not multiplexed. */
  ticket: string | undefined;
}

/** What a client may ask for, or what is wrong with a field of its subscribe. */
export type ClientFrame =
  SubscribeFrame | WebSocketUnsubscribeRequest | { action: 'malformed'; taskId: string; problem: string };

/**
 * `undefined` for anything that is not a frame of the wire, which names an action and a task; whether there is such a
 * task or cursor is for the log to say. Members that the wire does not define are ignored.
 */
export function parseClientFrame(data: RawData, isBinary: boolean): ClientFrame | undefined {
  if (isBinary) return undefined;
  const { action, taskId, ...asked } = parseObject(data);
  if (typeof taskId !== 'string') return undefined;
  if (action === 'unsubscribe') return { action, taskId };
  return action === 'subscribe' ? subscribeFrame(taskId, asked) : undefined;
}

function subscribeFrame(taskId: string, asked: Record<string, unknown>): ClientFrame {
  const { lastEventId = null, gap, multiplex: isMultiplexed = false, ticket } = asked;
  const malformed = (problem: string) => ({ action: 'malformed', taskId, problem }) as const;
  if (lastEventId !== null && typeof lastEventId !== 'string') return malformed('lastEventId must be a text or null');
  if (gap !== undefined && gap !== 'error') return malformed('gap must be "error" where it is given');
  if (typeof isMultiplexed !== 'boolean') return malformed('multiplex must be true or false');
  const frame = { action: 'subscribe', taskId, lastEventId, gap, isMultiplexed } as const;
  if (!isMultiplexed) return { ...frame, ticket: undefined };
  if (ticket !== undefined && typeof ticket !== 'string') return malformed('ticket must be a text');
  return { ...frame, ticket };
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
