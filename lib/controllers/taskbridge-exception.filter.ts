import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requestTask } from '../security/request-context.js';
import { isOutage } from '../stores/outage.js';
import { messageOf } from '../taskbridge.errors.js';
import { toErrorResponse } from './error-envelope.js';

/**
 * Answers every error with the wire's `{code, message, details, timestamp}`. The library's controllers carry it; put it
 * on controllers of your own (`@UseFilters(TaskBridgeExceptionFilter)`) so that they refuse in the same shape. Faults
 * of the server are logged here, once, with their stack; the client sees a neutral 500. A database out of reach is a
 * 503 and one warning.
 */
@Catch()
export class TaskBridgeExceptionFilter implements ExceptionFilter {
  private readonly logger = new Logger(TaskBridgeExceptionFilter.name);

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const { status, envelope, retryAfterSeconds } = toErrorResponse(error);
    if (status === 503 && isOutage(error)) this.warn(error, request);
    else if (status >= 500 && status !== 503) this.report(error, request);
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(retryAfterSeconds));
    void reply.status(status).type('application/json; charset=utf-8').send(envelope);
  }

  private report(error: unknown, request: FastifyRequest): void {
    const stack = typeof error === 'object' && error !== null && 'stack' in error ? String(error.stack) : undefined;
    this.logger.error({ message: `Request failed: ${messageOf(error)}`, ...requestFacts(request) }, stack);
  }

  private warn(error: unknown, request: FastifyRequest): void {
    const message = 'Request refused: the database is out of reach';
    this.logger.warn({ message, reason: messageOf(error), ...requestFacts(request) });
  }
}

function requestFacts(request: FastifyRequest): Record<string, string | undefined> {
  const taskId = requestTask(request.raw)?.taskId;
  // The route's pattern, not the URL: a query may carry credentials.
  return { method: request.method, route: request.routeOptions?.url, ...(taskId !== undefined && { taskId }) };
}
