import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { AuthRequest } from './auth-context.js';
import { taskRouteFacts } from './task-route.decorator.js';

/** What a `FastifyRequest` and the request of an upgrade have in common. */
interface GuardedRequest {
  headers: IncomingMessage['headers'];
  url: string;
  /** Fastify: the URL before the host rewrote it. */
  originalUrl?: string;
  method: string;
  params?: unknown;
  query?: unknown;
  raw: IncomingMessage;
}

/** Node's request behind the context, the key of `requestAuth` and `requestTask`. */
export function rawRequest(context: ExecutionContext): IncomingMessage {
  return guardedRequest(context).raw;
}

/** Path parameters, those of the host's part of the path included. */
export function pathParams(context: ExecutionContext): Readonly<Record<string, string>> {
  return textRecord(guardedRequest(context).params);
}

/** The view of the request that an `AuthContextResolver` gets. */
export function authRequest(context: ExecutionContext): AuthRequest {
  const request = guardedRequest(context);
  const { transport } = taskRouteFacts(context);
  return {
    headers: request.headers,
    url: request.originalUrl ?? request.url,
    method: request.method,
    params: textRecord(request.params),
    query: isRecord(request.query) ? request.query : {},
    transport,
    raw: transport === 'websocket' ? request.raw : request,
  };
}

function guardedRequest(context: ExecutionContext): GuardedRequest {
  return context.switchToHttp().getRequest<GuardedRequest>();
}

function textRecord(value: unknown): Record<string, string> {
  const texts = Object.entries(isRecord(value) ? value : {}).filter((entry) => typeof entry[1] === 'string');
  return Object.fromEntries(texts) as Record<string, string>;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
