import { PassThrough, type Readable } from 'node:stream';
import type { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import { TaskBridgeError } from '../taskbridge.errors.js';
import { toErrorResponse } from './error-envelope.js';
import type { HttpConnections } from './http-connections.js';
import { TASKBRIDGE_ROUTE, type TaskBridgeRouteConfig } from './route-config.js';

/** The Fastify adapter behind the host's application; throws on any other platform. */
export function assertFastify(adapterHost: HttpAdapterHost): FastifyAdapter {
  const adapter = adapterHost.httpAdapter as unknown;
  if (isFastifyAdapter(adapter)) return adapter;
  throw new Error(
    'TaskBridge serves its routes on Fastify only: create the application with ' +
      'NestFactory.create(AppModule, new FastifyAdapter()), or import TaskBridgeModule with http: false and webSocket: false',
  );
}

/**
 * Prepares Fastify for the library's routes: their errors, body limits and content types; the host's routes stay as
 * they are. Call it from a module's `configure()`: the adapter exists by then and no route does yet, whereas
 * `onModuleInit` runs after the routes were registered and would be too late.
 */
export function configureTaskBridgeRoutes(adapterHost: HttpAdapterHost, connections: HttpConnections): void {
  const adapter = assertFastify(adapterHost);
  adapter.useMultipart();
  const instance: FastifyInstance = adapter.getInstance();
  instance.addHook('onRoute', (route) => prepareRoute(route, connections));
}

function isFastifyAdapter(adapter: unknown): adapter is FastifyAdapter {
  if (typeof adapter !== 'object' || adapter === null || !('getType' in adapter)) return false;
  return typeof adapter.getType === 'function' && adapter.getType() === 'fastify';
}

function prepareRoute(route: RouteOptions, connections: HttpConnections): void {
  const config = routeConfig(route);
  // With two instances of the module the hook is there twice.
  if (!config || route.errorHandler === answerWithEnvelope) return;
  route.errorHandler = answerWithEnvelope;
  route.bodyLimit = config.bodyLimit;
  route.onSend = [...[route.onSend ?? []].flat(), closeWhileDraining(connections)];
  route.preParsing = [...[route.preParsing ?? []].flat(), preParsing(config)];
}

/** Clients that would send the next request on this connection would find it closed. */
function closeWhileDraining(connections: HttpConnections) {
  return (
    request: FastifyRequest,
    reply: FastifyReply,
    payload: unknown,
    done: (error: null, payload: unknown) => void,
  ) => {
    if (connections.isDraining && request.raw.httpVersionMajor === 1) void reply.header('connection', 'close');
    done(null, payload);
  };
}

function routeConfig(route: RouteOptions): TaskBridgeRouteConfig | undefined {
  const config = route.config as Record<string, unknown> | undefined;
  return config?.[TASKBRIDGE_ROUTE] as TaskBridgeRouteConfig | undefined;
}

function answerWithEnvelope(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const { status, envelope, retryAfterSeconds } = toErrorResponse(error);
  if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(retryAfterSeconds));
  void reply.status(status).type('application/json; charset=utf-8').send(envelope);
}

function preParsing(config: TaskBridgeRouteConfig) {
  return (
    request: FastifyRequest,
    _reply: FastifyReply,
    payload: Readable,
    done: (error?: Error | null, payload?: Readable) => void,
  ): void => {
    if (config.accepts.length === 0) return done();
    if (config.bodyOptional && isEmpty(request)) {
      // Without a content type Fastify asks no parser, which would refuse the empty text.
      request.headers = { ...request.headers, 'content-type': undefined };
      return done();
    }
    const type = request.headers['content-type'];
    if (type !== undefined && !config.accepts.some((accepted) => accepted === mediaType(type))) {
      const message = `The body must be ${config.accepts.join(' or ')}`;
      return done(new TaskBridgeError('UNSUPPORTED_MEDIA_TYPE', message));
    }
    const chunked = request.headers['content-length'] === undefined;
    return done(null, config.bodyOptional && chunked ? emptyAsObject(payload) : payload);
  };
}

function isEmpty(request: FastifyRequest): boolean {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
  return encoding === undefined && (length === undefined || length === '0');
}

function mediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase();
}

/** A chunked body is known to be empty only at its end. */
function emptyAsObject(payload: Readable): Readable {
  let received = false;
  const body = new PassThrough({
    transform(chunk, _encoding, next) {
      received = true;
      next(null, chunk);
    },
    flush(next) {
      next(null, received ? undefined : '{}');
    },
  });
  payload.on('error', (error) => body.destroy(error));
  return payload.pipe(body);
}
