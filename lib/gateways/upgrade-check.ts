import { Logger } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { toErrorResponse } from '../controllers/error-envelope.js';
import type { TaskRequestAuthorizer } from '../security/task-request-authorizer.js';
import { messageOf, TaskBridgeError } from '../taskbridge.errors.js';
import type { WebSocketRouteSettings } from '../taskbridge.options.js';
import { type CheckContext, decidedInTime } from './pending-check.js';

/** An ordinary HTTP answer instead of the upgrade. */
export interface UpgradeRefusal {
  status: number;
  body: string;
  headers: Record<string, string>;
}

/**
 * Decides an upgrade: 503 while draining, 403 for a browser of a foreign origin, then whatever the auth guard says, or
 * 503 when it says nothing in time. Nest's and Fastify's own guards, hooks and CORS rules never see an upgrade.
 */
export async function refuseUpgrade(
  request: IncomingMessage,
  context: CheckContext & { readonly authorizer: TaskRequestAuthorizer },
): Promise<UpgradeRefusal | undefined> {
  try {
    context.drain.assertOpen();
    assertOrigin(request, context.settings.webSocket.allowedOrigins);
    await decidedInTime('An upgrade', context.authorizer.authorizeUpgrade(request), context);
    return undefined;
  } catch (error) {
    return toRefusal(error);
  }
}

function toRefusal(error: unknown): UpgradeRefusal {
  const { status, envelope, retryAfterSeconds } = toErrorResponse(error);
  if (status === 500) new Logger('TaskStreams').error(`Upgrade failed: ${messageOf(error)}`);
  const headers: Record<string, string> = {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
  };
  if (retryAfterSeconds !== undefined) headers['Retry-After'] = String(retryAfterSeconds);
  return { status, body: JSON.stringify(envelope), headers };
}

/** Browsers always send an origin, other clients none; without this check any web page could use a visitor's cookies. */
function assertOrigin({ headers }: IncomingMessage, allowed: WebSocketRouteSettings['allowedOrigins']): void {
  const { origin } = headers;
  if (origin === undefined || allowed === 'any') return;
  const isAllowed = allowed === 'same-host' ? hostOf(origin) === headers.host?.toLowerCase() : allowed.includes(origin);
  if (!isAllowed) throw new TaskBridgeError('TASK_OWNERSHIP_ERROR', 'Connections from this origin are not allowed');
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}
