import {
  CLOSE_CODES,
  ERROR_CODES,
  isTaskEventType,
  isTerminalEventType,
  isTerminalStatus,
  SUBSCRIPTION_REFUSAL_CODES,
  TASK_EVENT_TYPES,
  TASK_FAILURE_CODES,
  TASK_STATUSES,
  TERMINAL_EVENT_TYPES,
} from '@taskbridge/protocol';

describe('codes that outlive a release', () => {
  it('keeps the stored code of every event type', () => {
    expect(Object.fromEntries(TASK_EVENT_TYPES.map((type, code) => [type, code]))).toEqual({
      TASK_STARTED: 0,
      TASK_PROGRESS: 1,
      TASK_MESSAGE: 2,
      TASK_SUSPENDED: 3,
      TASK_ACTION_ACCEPTED: 4,
      TASK_COMPLETED: 5,
      TASK_FAILED: 6,
      TASK_CANCELLED: 7,
    });
  });

  it('keeps the stored code of every status', () => {
    expect(TASK_STATUSES).toEqual(['ACCEPTED', 'RUNNING', 'COMPLETED', 'FAILED', 'CANCELLED']);
  });

  it('ends a log with the last three types, and a task with the last three statuses', () => {
    expect(TASK_EVENT_TYPES.filter((type) => isTerminalEventType(type))).toEqual([...TERMINAL_EVENT_TYPES]);
    expect(TASK_STATUSES.filter(isTerminalStatus)).toEqual(['COMPLETED', 'FAILED', 'CANCELLED']);
  });

  it('does not take a heartbeat, or a type from a newer server, for an event type', () => {
    expect(['TASK_STARTED', 'HEARTBEAT', 'TASK_RETRIED', 'constructor', 0].map(isTaskEventType)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ]);
  });

  it('closes with 1008 only for refusals, which existing clients take as final', () => {
    expect(CLOSE_CODES).toEqual({ normal: 1000, refused: 1008, tooLarge: 1009, restart: 1012, tryLater: 1013 });
  });

  it('answers each error code with its documented status', () => {
    expect(ERROR_CODES).toEqual({
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
    });
  });

  it('keeps the codes of refused subscribes, none of which is an error code', () => {
    expect(SUBSCRIPTION_REFUSAL_CODES).toEqual(['ALREADY_SUBSCRIBED', 'SUBSCRIPTION_LIMIT']);
    expect(SUBSCRIPTION_REFUSAL_CODES.filter((code) => code in ERROR_CODES)).toEqual([]);
  });

  it('keeps the failure codes', () => {
    expect(TASK_FAILURE_CODES).toEqual([
      'TASK_SUBMISSION_ERROR',
      'TASK_RESUME_ERROR',
      'TASK_EXECUTION_FAILED',
      'EXECUTION_INTERRUPTED',
      'SUSPENSION_EXPIRED',
      'DEADLINE_EXCEEDED',
    ]);
  });
});
