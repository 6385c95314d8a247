import { BadRequestException, ForbiddenException, HttpException, Logger, UnauthorizedException } from '@nestjs/common';
import { ERROR_CODES, type ErrorCode } from '@taskbridge/protocol';
import fastify from 'fastify';
import { toErrorResponse } from '../../lib/controllers/error-envelope.js';
import { TaskBridgeExceptionFilter } from '../../lib/controllers/taskbridge-exception.filter.js';
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

describe('TaskBridgeExceptionFilter', () => {
  const lines: unknown[][] = [];
  const log = (...line: unknown[]): number => lines.push(line);

  beforeAll(() => Logger.overrideLogger({ log, error: log, warn: log }));
  afterAll(() => Logger.overrideLogger(undefined as never));

  /** What a handler that throws is answered on a Fastify with the filter. */
  async function answerOf(error: unknown): Promise<{ status: number; text: string; retryAfter: string | null }> {
    lines.length = 0;
    const app = fastify();
    const filter = new TaskBridgeExceptionFilter();
    const refuse = filter.catch.bind(filter);
    app.get('/tasks/:taskId', (request, reply) => {
      const http = { getRequest: () => request, getResponse: () => reply };
      refuse(error, { switchToHttp: () => http } as never);
    });
    const response = await fetch(`${await app.listen({ host: '127.0.0.1', port: 0 })}/tasks/7?token=secret`);
    const text = await response.text();
    await app.close();
    return { status: response.status, text, retryAfter: response.headers.get('retry-after') };
  }

  it('logs a fault once with its stack, and shows neither it nor the query', async () => {
    const answer = await answerOf(new Error('relation "tasks" does not exist'));
    expect(answer.status).toBe(500);
    expect(Object.keys(JSON.parse(answer.text) as object)).toEqual(['code', 'message', 'timestamp']);
    expect(answer.text).not.toContain('relation');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toEqual([
      { message: 'Request failed: relation "tasks" does not exist', method: 'GET', route: '/tasks/:taskId' },
      expect.stringContaining('error-envelope.spec'),
      'TaskBridgeExceptionFilter',
    ]);
  });

  it("does not log a client's mistake", async () => {
    const answer = await answerOf(new TaskBridgeError('TASK_NOT_FOUND', 'Task 7 does not exist'));
    expect([answer.status, lines.length]).toEqual([404, 0]);
  });

  it('sends Retry-After with SERVICE_UNAVAILABLE', async () => {
    const answer = await answerOf(new TaskBridgeError('SERVICE_UNAVAILABLE', 'draining'));
    expect([answer.status, answer.retryAfter]).toEqual([503, '1']);
  });
});
