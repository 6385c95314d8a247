import { STATUS_CODES } from 'node:http';
import { ERROR_CODES, type ErrorEnvelope } from '@taskbridge/protocol';
import { httpStatusOf } from '../security/refusals.js';
import { isOutage } from '../stores/outage.js';
import { isTaskBridgeError } from '../taskbridge.errors.js';

/** An error as a client may see it: no stack, and nothing of what the server did not mean to say. */
export interface ErrorResponse {
  status: number;
  envelope: ErrorEnvelope;
  /** Seconds for the `Retry-After` header. */
  retryAfterSeconds?: number;
}

/** Codes for errors that are not the library's own: those of Nest, Fastify and the host. */
const CODE_OF_STATUS: Readonly<Record<number, string>> = {
  400: 'INVALID_REQUEST',
  401: 'AUTHENTICATION_ERROR',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  422: 'REQUEST_VALIDATION_ERROR',
  500: 'INTERNAL_ERROR',
  503: 'SERVICE_UNAVAILABLE',
};

/** A pool needs a moment to connect again, and every client comes back at once. */
const OUTAGE_RETRY_SECONDS = 2;

/**
 * Maps anything thrown to the wire: known codes by `ERROR_CODES`, HTTP exceptions by their status, a database out of
 * reach to 503, the rest to a neutral 500.
 */
export function toErrorResponse(error: unknown): ErrorResponse {
  if (isTaskBridgeError(error)) {
    const status = ERROR_CODES[error.code] ?? 500;
    const response = { status, envelope: envelope(error.code, error.message, error.details) };
    return error.code === 'SERVICE_UNAVAILABLE'
      ? { ...response, retryAfterSeconds: retryAfter(error.details) }
      : response;
  }
  const deliberate = httpStatusOf(error) ?? clientErrorStatus(error);
  if (deliberate === undefined && isOutage(error)) return outageResponse();
  const status = deliberate ?? 500;
  const text = STATUS_CODES[status] ?? 'Error';
  const code = CODE_OF_STATUS[status] ?? text.toUpperCase().replaceAll(/[^A-Z]+/g, '_');
  // The text of a server's fault was written for its log.
  const message = status < 500 ? (ownMessage(error) ?? text) : text;
  return { status, envelope: envelope(code, message, status < 500 ? messageList(error) : undefined) };
}

function outageResponse(): ErrorResponse {
  const message = 'The service is out of order for a moment; try again';
  return {
    status: 503,
    envelope: envelope('SERVICE_UNAVAILABLE', message),
    retryAfterSeconds: OUTAGE_RETRY_SECONDS,
  };
}

function envelope(code: string, message: string, details?: Record<string, unknown>): ErrorEnvelope {
  return { code, message, ...(details && { details }), timestamp: new Date().toISOString() };
}

function retryAfter(details: Record<string, unknown> | undefined): number {
  const seconds = details?.['retryAfterSeconds'];
  return typeof seconds === 'number' ? Math.max(1, Math.ceil(seconds)) : 1;
}

/** A Fastify or `http-errors` error that blames the client; anything else may carry a `statusCode` by accident. */
function clientErrorStatus(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  const { statusCode } = error;
  const deliberate = ('name' in error && error.name === 'FastifyError') || ('expose' in error && error.expose === true);
  return deliberate && typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : undefined;
}

function ownMessage(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'message' in error && typeof error.message === 'string'
    ? error.message
    : undefined;
}

/** Nest's `ValidationPipe` puts one message per property into the exception's response. */
function messageList(error: unknown): Record<string, unknown> | undefined {
  if (typeof error !== 'object' || error === null || !('response' in error)) return undefined;
  const { response } = error;
  if (typeof response !== 'object' || response === null || !('message' in response)) return undefined;
  return Array.isArray(response.message) ? { messages: response.message } : undefined;
}
