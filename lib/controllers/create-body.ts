import type { FastifyRequest } from 'fastify';
import type { JsonObject } from '@taskbridge/protocol';
import { validationError } from '../taskbridge.errors.js';
import { CreateTaskDto } from './dto/create-task.dto.js';
import { readBody, type Fields } from './read-dto.js';

const KEY_HEADER = 'idempotency-key';

/** W3C trace context, version 00; anything else is not passed on. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The body of a create, with the `Idempotency-Key` header in the place of an absent `clientRequestId`. */
export function readCreateBody(request: FastifyRequest, body: unknown, maxDepth: number): Fields<CreateTaskDto> {
  const key = request.headers[KEY_HEADER];
  if (typeof key !== 'string' || !isObject(body)) return readBody(CreateTaskDto, body, maxDepth);
  const dto = readBody(CreateTaskDto, { clientRequestId: key, ...body }, maxDepth);
  if (dto.clientRequestId !== key) {
    throw validationError([{ field: 'Idempotency-Key', message: 'differs from clientRequestId' }]);
  }
  return dto;
}

/** The caller's trace context, when it is well-formed. */
export function traceparentOf(request: FastifyRequest): string | undefined {
  const { traceparent } = request.headers;
  return typeof traceparent === 'string' && TRACEPARENT.test(traceparent) ? traceparent : undefined;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
