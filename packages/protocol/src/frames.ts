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

/**
 * The WebSocket subprotocol of this wire. A browser, which cannot set headers on a WebSocket, may offer a second one that
 * carries its credentials; the server selects this one and never echoes the other.
 */
export const WEB_SOCKET_SUBPROTOCOL = 'taskbridge';

/**
 * What a WebSocket client sends first, and without `multiplex` once. Without `lastEventId` (absent, `null`, empty) the
 * log is replayed from its start.
 */
export interface WebSocketSubscribeRequest {
  action: 'subscribe';
  taskId: string;
  lastEventId?: string | null;
  gap?: GapMode;
  /**
   * Many tasks on this connection: more subscribes and unsubscribes may follow at any time, and each subscription ends
   * by a `SUBSCRIPTION_ENDED` frame instead of the connection. Said by every subscribe of such a connection.
   */
  multiplex?: boolean;
  /** A stream ticket for this task, spent by this subscribe; read on multiplexed connections only. */
  ticket?: string;
}

/** Ends one subscription of a multiplexed connection; for a task that is not subscribed nothing happens. */
export interface WebSocketUnsubscribeRequest {
  action: 'unsubscribe';
  taskId: string;
}

/** Every frame a client sends on a WebSocket. */
export type WebSocketClientFrame = WebSocketSubscribeRequest | WebSocketUnsubscribeRequest;

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

/** Every frame a server sends on a WebSocket that is not multiplexed. */
export type WebSocketServerFrame = SubscriptionConfirmedFrame | WebSocketHeartbeatFrame | WebSocketGapFrame | TaskEvent;

/** Sent on a multiplexed connection that has been idle, with and without subscriptions. */
export interface MultiplexHeartbeatFrame {
  type: 'HEARTBEAT';
  live: true;
}

/**
 * Why a subscription of a multiplexed connection has ended: its log did; the client asked for it; it was refused for
 * good; something failed that may succeed when tried again.
 */
export const SUBSCRIPTION_END_REASONS = ['TERMINAL', 'UNSUBSCRIBED', 'REFUSED', 'ERROR'] as const;

/** One of {@link SUBSCRIPTION_END_REASONS}. */
export type SubscriptionEndReason = (typeof SUBSCRIPTION_END_REASONS)[number];

/**
 * Codes of refusals that only a `SUBSCRIPTION_ENDED` frame has, besides those of {@link ERROR_CODES}. With
 * `ALREADY_SUBSCRIBED` the refused subscribe has ended and the task's earlier subscription goes on.
 */
export const SUBSCRIPTION_REFUSAL_CODES = ['ALREADY_SUBSCRIBED', 'SUBSCRIPTION_LIMIT'] as const;

/** One of {@link SUBSCRIPTION_REFUSAL_CODES}. */
export type SubscriptionRefusalCode = (typeof SUBSCRIPTION_REFUSAL_CODES)[number];

/** The one end of each subscribe on a multiplexed connection, after the last event of the subscription. */
export interface SubscriptionEndedFrame {
  type: 'SUBSCRIPTION_ENDED';
  taskId: string;
  reason: SubscriptionEndReason;
  /** There exactly when the reason is `REFUSED` or `ERROR`. `code` is text, because hosts add their own. */
  error?: { code: string; message: string };
}

/** Every frame a server sends on a multiplexed connection. */
export type MultiplexServerFrame =
  SubscriptionConfirmedFrame | SubscriptionEndedFrame | MultiplexHeartbeatFrame | WebSocketGapFrame | TaskEvent;

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
