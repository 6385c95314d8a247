import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { requestTask } from '../security/request-context.js';
import { messageOf } from '../taskbridge.errors.js';
import { toErrorResponse } from './error-envelope.js';

/**
 * Answers every error with the wire's `{code, message, details, timestamp}`. The library's controllers carry it; put it
 * on controllers of your own (`@UseFilters(TaskBridgeExceptionFilter)`) so that they refuse in the same shape. Faults
 * of the server are logged here, once, with their stack; the client sees a neutral 500.
 */
@Catch()
export class TaskBridgeExceptionFilter implements ExceptionFilter {
  private readonly logger = new Logger(TaskBridgeExceptionFilter.name);

  catch(error: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const { status, envelope, retryAfterSeconds } = toErrorResponse(error);
    if (status >= 500 && status !== 503) this.report(error, request);
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    if (retryAfterSeconds !== undefined) void reply.header('retry-after', String(retryAfterSeconds));
    void reply.status(status).type('application/json; charset=utf-8').send(envelope);
  }

  private report(error: unknown, request: FastifyRequest): void {
    const stack = typeof error === 'object' && error !== null && 'stack' in error ? String(error.stack) : undefined;
    // The route's pattern, not the URL: a query may carry credentials.
    const route = request.routeOptions?.url;
    const taskId = requestTask(request.raw)?.taskId;
    const message = `Request failed: ${messageOf(error)}`;
    this.logger.error({ message, method: request.method, route, ...(taskId !== undefined && { taskId }) }, stack);
  }
}
