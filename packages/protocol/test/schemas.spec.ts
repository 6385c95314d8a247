import {
  CANCEL_TASK_STATUSES,
  DIAGNOSIS_KINDS,
  EVENT_ID_PATTERN,
  isTaskId,
  SUBSCRIPTION_END_REASONS,
  SUSPENSION_KINDS,
  TASK_CLIENT_ACTION_STATUSES,
  TASK_EVENT_TYPES,
  TASK_MESSAGE_LEVELS,
  TASK_STATUSES,
} from '@taskbridge/protocol';
import { accepts, fixtures, schemaNames, shippedSchemas } from './support/schemas.js';

const ajv = shippedSchemas();

function fixture(name: string): Record<string, unknown> {
  const found = fixtures.find((candidate) => candidate.name === name);
  return { ...found?.value };
}

function schemaText(name: string): string {
  return JSON.stringify(ajv.getSchema(`${name}.schema.json`)?.schema);
}

const attachment = { attachmentId: 'a', name: 'n', contentType: 'text/plain', sizeBytes: 0 };

describe('shipped schemas', () => {
  it('are these, each with a fixture', () => {
    expect(schemaNames).toEqual([
      'cancel-task-request',
      'cancel-task-response',
      'error-envelope',
      'event-gap',
      'poll-events-response',
      'sse-heartbeat',
      'stream-ticket',
      'task-client-action',
      'task-client-action-response',
      'task-create-request',
      'task-created-response',
      'task-diagnosis',
      'task-event',
      'task-list',
      'task-snapshot',
      'websocket-gap',
      'websocket-heartbeat',
      'websocket-multiplex-heartbeat',
      'websocket-subscribe-request',
      'websocket-subscription-confirmed',
      'websocket-subscription-ended',
      'websocket-unsubscribe-request',
    ]);
    expect([...new Set(fixtures.map(({ schema }) => schema))].toSorted()).toEqual(schemaNames);
  });

  it.each(fixtures)('accept $name', ({ schema, value }) => {
    accepts(ajv, schema, value);
    expect(ajv.errors).toBeNull();
  });

  it.each([
    ['task-event', TASK_EVENT_TYPES],
    ['task-event', SUSPENSION_KINDS],
    ['task-event', TASK_MESSAGE_LEVELS],
    ['task-snapshot', TASK_STATUSES],
    ['task-list', TASK_STATUSES],
    ['task-diagnosis', TASK_STATUSES],
    ['task-diagnosis', DIAGNOSIS_KINDS],
    ['task-diagnosis', SUSPENSION_KINDS],
    ['task-created-response', TASK_STATUSES],
    ['cancel-task-response', CANCEL_TASK_STATUSES],
    ['task-client-action-response', TASK_CLIENT_ACTION_STATUSES],
    ['websocket-subscription-ended', SUBSCRIPTION_END_REASONS],
  ])('%s names the same values as the types: %j', (schema, values) => {
    expect(schemaText(schema)).toContain(`"enum":${JSON.stringify(values)}`);
  });

  it.each([
    'task-event',
    'poll-events-response',
    'task-snapshot',
    'task-list',
    'sse-heartbeat',
    'websocket-gap',
    'event-gap',
  ])('%s has the cursor grammar of the code', (schema) => {
    const { source } = EVENT_ID_PATTERN;
    const uses = schemaText(schema).includes(JSON.stringify(source));
    expect(uses).toBe(true);
  });

  it.each<[string, string, Record<string, unknown>]>([
    ['an unknown field of a create', 'task-create-request.bare', { priority: 1 }],
    ['an input that is not an object', 'task-create-request.bare', { input: 'text' }],
    ['a result before completion', 'task-snapshot.waiting', { result: 1 }],
    ['an error of a completed task', 'task-snapshot.completed', { error: fixture('task-snapshot.failed').error }],
    ['a completed task without a result', 'task-snapshot.accepted', { status: 'COMPLETED' }],
    ['a failed task without an error', 'task-snapshot.accepted', { status: 'FAILED' }],
    ['an open suspension without its time', 'task-snapshot.waiting', { openSuspensions: [{ suspendId: 's' }] }],
    ['a hash that is not SHA-256', 'task-snapshot.accepted', { attachments: [{ ...attachment, sha256: 'abc' }] }],
    ['a diagnosis without a reason', 'task-diagnosis.ended', { reasons: [] }],
    ['a reason without its facts', 'task-diagnosis.ended', { reasons: [{ kind: 'QUEUE', message: 'm', since: null }] }],
    ['a reason of an unknown kind', 'task-diagnosis.ended', { reasons: [{ kind: 'X', message: 'm', since: null }] }],
    ['a poll with a malformed cursor', 'poll-events-response.page', { nextAfterEventId: '4-1' }],
    ['a subscribe with a malformed cursor', 'websocket-subscribe-request.start', { lastEventId: 'latest' }],
    ['a subscribe with another way to meet a gap', 'websocket-subscribe-request.gap', { gap: 'replay' }],
    ['a gap without a snapshot', 'websocket-gap.completed', { snapshot: null }],
    ['a subscribe with a ticket that is no text', 'websocket-subscribe-request.multiplex', { ticket: 1 }],
    ['an end of a subscription for another reason', 'websocket-subscription-ended.terminal', { reason: 'STALLED' }],
    ['a refusal without its error', 'websocket-subscription-ended.terminal', { reason: 'REFUSED' }],
    ['an error of a log that ended', 'websocket-subscription-ended.refused', { reason: 'TERMINAL' }],
    ['a heartbeat of a connection with a task', 'websocket-multiplex-heartbeat.idle', { taskId: 't' }],
    ['a ticket that is too short', 'stream-ticket.issued', { ticket: 'abc' }],
    ['a frame with another action', 'websocket-subscribe-request.start', { action: 'unsubscribe' }],
    ['a heartbeat with a null cursor', 'sse-heartbeat.idle', { eventId: null }],
    ['an error without a time', 'error-envelope.validation', { timestamp: 'now' }],
  ])('refuse %s', (_what, base, change) => {
    const schema = base.slice(0, base.indexOf('.'));
    expect(accepts(ajv, schema, fixture(base))).toBe(true);
    expect(accepts(ajv, schema, { ...fixture(base), ...change })).toBe(false);
  });

  it.each([
    'poll-events-response.nothing',
    'task-snapshot.waiting',
    'task-list.empty',
    'task-diagnosis.runs',
    'task-created-response.deduplicated',
    'cancel-task-response.requested',
    'error-envelope.validation',
    'websocket-subscribe-request.start',
    'websocket-subscription-confirmed.start',
    'websocket-subscription-ended.refused',
    'websocket-multiplex-heartbeat.idle',
    'stream-ticket.issued',
  ])('let %s grow by fields', (base) => {
    expect(accepts(ajv, base.slice(0, base.indexOf('.')), { ...fixture(base), later: 1 })).toBe(true);
  });

  it('name tasks in fixtures by valid ids', () => {
    const ids = fixtures.map(({ value }) => value.taskId).filter((id) => id !== undefined);
    expect(ids.filter((id) => !isTaskId(id))).toEqual([]);
  });
});
