import type { TaskEvent } from './events.js';
import type { TaskSnapshot } from './task-views.js';

/**
 * What a reader wants when events after its cursor are no longer stored: `error` tells it (410 `EVENT_GAP` on polling
 * and SSE, a `GAP` frame on WebSocket). Absent, the log goes on at the oldest stored event without a word.
 */
export type GapMode = 'error';

/** `details` of an `EVENT_GAP`, and the gist of a `GAP` frame. */
export interface EventGap {
  /** The oldest event that is still stored. */
  retainedFromEventId: string;
  /** Covers everything before that event: a reader may apply it and continue after its `lastEventId`. */
  snapshot: TaskSnapshot;
}

/** The one frame a WebSocket client sends, first and once. Without `lastEventId` (absent, `null`, empty) the log is replayed from its start. */
export interface WebSocketSubscribeRequest {
  action: 'subscribe';
  taskId: string;
  lastEventId?: string | null;
  gap?: GapMode;
}

/** First frame after an accepted subscribe, before any event; it echoes the cursor, `null` for the start. */
export interface SubscriptionConfirmedFrame {
  type: 'SUBSCRIPTION_CONFIRMED';
  taskId: string;
  replayStartedAfterEventId: string | null;
  live: true;
}

/**
 * Sent to a reader that asked for it, after the confirmation or in the middle of a replay: the events between what it
 * has had and `retainedFromEventId` are gone. The stream goes on with `retainedFromEventId` itself.
 */
export interface WebSocketGapFrame extends EventGap {
  type: 'GAP';
  taskId: string;
}

/** Sent on an idle WebSocket; it carries no cursor. */
export interface WebSocketHeartbeatFrame {
  type: 'HEARTBEAT';
  taskId: string;
  live: true;
}

/** Sent on an idle SSE stream as a `data:` line without `id:`, shaped like an event whose `eventId` is the stream's current cursor, so it never moves one. */
export interface SseHeartbeatFrame {
  type: 'HEARTBEAT';
  taskId: string;
  eventId: string;
  createdAt: string;
  payload: { live: true };
}

/** Every frame a server sends on a WebSocket. */
export type WebSocketServerFrame = SubscriptionConfirmedFrame | WebSocketHeartbeatFrame | WebSocketGapFrame | TaskEvent;

/** Every JSON document a server sends on an SSE stream. */
export type SseServerFrame = SseHeartbeatFrame | TaskEvent;

/**
 * WebSocket close codes the server uses, by meaning: the log ended; refused for good (first frame, task, cursor);
 * a frame too large; server restarting; reader stalled or never subscribed. Clients reconnect after the last two only.
 */
export const CLOSE_CODES = {
  normal: 1000,
  refused: 1008,
  tooLarge: 1009,
  restart: 1012,
  tryLater: 1013,
} as const;

/** One of the numbers in {@link CLOSE_CODES}. */
export type CloseCode = (typeof CLOSE_CODES)[keyof typeof CLOSE_CODES];
