import { BadRequestException, ForbiddenException, HttpException, UnauthorizedException } from '@nestjs/common';
import { ERROR_CODES, type ErrorCode } from '@taskbridge/protocol';
import { toErrorResponse } from '../../lib/controllers/error-envelope.js';
import { TaskBridgeError } from '../../lib/taskbridge.errors.js';

describe('error envelopes', () => {
  it.each(Object.entries(ERROR_CODES))('answers %s with %i', (code, status) => {
    const error = new TaskBridgeError(code as ErrorCode, 'why', { details: { a: 1 } });
    const response = toErrorResponse(error);
    expect(response.status).toBe(status);
    expect(response.envelope).toMatchObject({ code, message: 'why', details: { a: 1 } });
    expect(new Date(response.envelope.timestamp).toISOString()).toBe(response.envelope.timestamp);
  });

  it('tells when to come back, after a second unless the error knows better', () => {
    expect(toErrorResponse(new TaskBridgeError('SERVICE_UNAVAILABLE', 'draining')).retryAfterSeconds).toBe(1);
    const later = new TaskBridgeError('SERVICE_UNAVAILABLE', 'draining', { details: { retryAfterSeconds: 4.2 } });
    expect(toErrorResponse(later).retryAfterSeconds).toBe(5);
    expect(toErrorResponse(new TaskBridgeError('TASK_SUBMISSION_ERROR', 'no')).retryAfterSeconds).toBeUndefined();
  });

  it.each([
    [new UnauthorizedException('log in'), 401, 'AUTHENTICATION_ERROR', 'log in'],
    [new ForbiddenException(), 403, 'FORBIDDEN', 'Forbidden'],
    [new HttpException('slow down', 429), 429, 'TOO_MANY_REQUESTS', 'slow down'],
    [new HttpException('password=hunter2', 502), 502, 'BAD_GATEWAY', 'Bad Gateway'],
    [{ name: 'FastifyError', statusCode: 413, message: 'too large' }, 413, 'PAYLOAD_TOO_LARGE', 'too large'],
    [new Error('connect ECONNREFUSED db.internal'), 500, 'INTERNAL_ERROR', 'Internal Server Error'],
    [{ name: 'PostgresError', statusCode: 404, message: 'secret' }, 500, 'INTERNAL_ERROR', 'Internal Server Error'],
    ['thrown text', 500, 'INTERNAL_ERROR', 'Internal Server Error'],
    [undefined, 500, 'INTERNAL_ERROR', 'Internal Server Error'],
  ])('maps a foreign error %#', (error, status, code, message) => {
    const response = toErrorResponse(error);
    expect({ status: response.status, code: response.envelope.code, message: response.envelope.message }).toEqual({
      status,
      code,
      message,
    });
  });

  it("keeps the messages of Nest's ValidationPipe", () => {
    const { envelope } = toErrorResponse(new BadRequestException(['name must be text', 'age is missing']));
    expect(envelope.details).toEqual({ messages: ['name must be text', 'age is missing'] });
  });
});
