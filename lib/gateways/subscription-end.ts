import type { SubscriptionEndedFrame, SubscriptionEndReason, SubscriptionRefusalCode } from '@taskbridge/protocol';
import { toErrorResponse } from '../controllers/error-envelope.js';
import type { StreamCloseReason } from '../observability/transport-diagnostics.js';
import { isTaskBridgeError, TaskBridgeError, taskNotFound } from '../taskbridge.errors.js';
import type { WebSocketStreamSettings } from '../taskbridge.options.js';
import { closeOfError, closeOfStream, type CloseSignal } from './close-signal.js';

/** How a subscription came to its end: it could not begin, or its stream ended. */
export type SubscriptionEnd = { error: unknown } | { reason: StreamCloseReason };

const REFUSALS: Readonly<Record<SubscriptionRefusalCode, string>> = {
  ALREADY_SUBSCRIBED: 'This connection follows the task already; that subscription goes on',
  SUBSCRIPTION_LIMIT: 'This connection follows as many tasks as it may: unsubscribe from one, or open another',
};

/** What ends a connection that has one subscription. */
export function closeOfEnd(end: SubscriptionEnd, settings: WebSocketStreamSettings): CloseSignal {
  return 'error' in end ? closeOfError(end.error, settings) : closeOfStream(end.reason, settings);
}

/** What ends one subscription among others; `undefined` for an end that is the whole connection's. */
export function frameOfEnd(taskId: string, end: SubscriptionEnd): SubscriptionEndedFrame | undefined {
  if ('error' in end) return failedFrame(taskId, end.error);
  switch (end.reason) {
    case 'terminal':
      return endedFrame(taskId, 'TERMINAL');
    case 'unsubscribed':
      return endedFrame(taskId, 'UNSUBSCRIBED');
    case 'deleted':
      return failedFrame(taskId, taskNotFound(taskId));
    case 'error':
      return failedFrame(taskId, new TaskBridgeError('INTERNAL_ERROR', 'The log does not go on where it should'));
    default:
      return undefined;
  }
}

/** The answer to a subscribe that is one too many. */
export function refusalFrame(taskId: string, code: SubscriptionRefusalCode): SubscriptionEndedFrame {
  return { ...endedFrame(taskId, 'REFUSED'), error: { code, message: REFUSALS[code] } };
}

/** The answer to a subscribe that came to nothing. */
export function failedFrame(taskId: string, error: unknown): SubscriptionEndedFrame {
  const { status, envelope } = toErrorResponse(error);
  const isFinal = isTaskBridgeError(error) && status < 500;
  const { code, message } = envelope;
  return { ...endedFrame(taskId, isFinal ? 'REFUSED' : 'ERROR'), error: { code, message } };
}

function endedFrame(taskId: string, reason: SubscriptionEndReason): SubscriptionEndedFrame {
  return { type: 'SUBSCRIPTION_ENDED', taskId, reason };
}
