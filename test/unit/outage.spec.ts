import { toErrorResponse } from '../../lib/controllers/error-envelope.js';
import { failureKind } from '../../lib/stores/append-failure.js';
import { isOutage } from '../../lib/stores/outage.js';

const failed = (message: string, code?: string): Error => Object.assign(new Error(message), code && { code });

describe('an error of the database', () => {
  it.each([
    failed('connect ECONNREFUSED 127.0.0.1:5432', 'ECONNREFUSED'),
    failed('read ECONNRESET', 'ECONNRESET'),
    failed('write EPIPE', 'EPIPE'),
    failed('getaddrinfo ENOTFOUND db', 'ENOTFOUND'),
    failed('terminating connection due to administrator command', '57P01'),
    failed('the database system is starting up', '57P03'),
    failed('sorry, too many clients already', '53300'),
    failed('connection failure', '08006'),
    failed('cannot execute INSERT in a read-only transaction', '25006'),
    failed('Connection terminated unexpectedly'),
    failed('Connection terminated due to connection timeout'),
    failed('canceling statement due to statement timeout', '57014'),
    failed('could not serialize access due to concurrent update', '40001'),
    failed('deadlock detected', '40P01'),
    failed('terminating connection due to idle-in-transaction timeout', '25P03'),
    failed('terminating connection due to transaction timeout', '25P04'),
    failed('timeout exceeded when trying to connect'),
    failed('Client has encountered a connection error and is not queryable'),
    failed('Query runner already released. Cannot run queries anymore.'),
  ])('is 503 and worth a repeat: %s', (error) => {
    expect(isOutage(error)).toBe(true);
    expect(failureKind(error)).toBe('transient');
    expect(toErrorResponse(error)).toMatchObject({
      status: 503,
      envelope: { code: 'SERVICE_UNAVAILABLE', message: 'The service is out of order for a moment; try again' },
      retryAfterSeconds: 2,
    });
  });

  it('is 503 while somebody holds the row that the statement wants', () => {
    const error = failed('canceling statement due to lock timeout', '55P03');
    expect(failureKind(error)).toBe('locked');
    expect(toErrorResponse(error)).toMatchObject({
      status: 503,
      envelope: { code: 'SERVICE_UNAVAILABLE' },
      retryAfterSeconds: 2,
    });
  });

  it.each([
    failed('duplicate key value violates unique constraint', '23505'),
    failed('relation "taskbridge_tasks" does not exist', '42P01'),
    failed('password authentication failed', '28P01'),
    failed('Cannot read properties of undefined'),
    'Connection terminated',
    null,
  ])('is a neutral 500 where a repeat would not help: %s', (error) => {
    expect(isOutage(error)).toBe(false);
    expect(toErrorResponse(error)).toMatchObject({
      status: 500,
      envelope: { code: 'INTERNAL_ERROR', message: 'Internal Server Error' },
    });
  });
});
