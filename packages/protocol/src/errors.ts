import type { JsonObject } from './events.js';

/**
 * Every error code a request may be answered with, and its HTTP status. Statuses below 500 are final, except 401
 * (once, with a new token); the others may be retried, after `Retry-After` where the answer has one.
 */
export const ERROR_CODES = {
  INVALID_REQUEST: 400,
  INVALID_CURSOR: 400,
  UPLOAD_VALIDATION_ERROR: 400,
  AUTHENTICATION_ERROR: 401,
  TASK_OWNERSHIP_ERROR: 403,
  TASK_NOT_FOUND: 404,
  SUSPENSION_NOT_FOUND: 404,
  IDEMPOTENCY_CONFLICT: 409,
  ACTION_NOT_ALLOWED: 409,
  INVALID_TASK_STATE: 409,
  TASK_ALREADY_TERMINAL: 409,
  ATTEMPT_SUPERSEDED: 409,
  EVENT_GAP: 410,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  REQUEST_VALIDATION_ERROR: 422,
  INTERNAL_ERROR: 500,
  TASK_SUBMISSION_ERROR: 503,
  SERVICE_UNAVAILABLE: 503,
} as const;

/** A key of {@link ERROR_CODES}; clients branch on it, never on the message. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** Body of every refusal. `code` is text, not {@link ErrorCode}, because hosts add their own. */
export interface ErrorEnvelope {
  code: string;
  message: string;
  /** What the code's readers need besides, for instance the list of fields of a `REQUEST_VALIDATION_ERROR`. */
  details?: JsonObject;
  timestamp: string;
}

/**
 * The codes TaskBridge itself puts in `TASK_FAILED`; a host's executor adds its own. In order: the executor refused
 * the task or could not be reached; likewise for an accepted answer; the work threw; its process died; a question
 * expired; the task's deadline passed.
 */
export const TASK_FAILURE_CODES = [
  'TASK_SUBMISSION_ERROR',
  'TASK_RESUME_ERROR',
  'TASK_EXECUTION_FAILED',
  'EXECUTION_INTERRUPTED',
  'SUSPENSION_EXPIRED',
  'DEADLINE_EXCEEDED',
] as const;

/** One of {@link TASK_FAILURE_CODES}. */
export type TaskFailureCode = (typeof TASK_FAILURE_CODES)[number];
