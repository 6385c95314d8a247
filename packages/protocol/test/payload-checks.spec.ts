import { checkEventEnvelope, checkEventPayload, isDateTime, type TaskEventType } from '@taskbridge/protocol';
import { mutationsOf } from './support/mutations.js';
import { dateTimes, notDateTimes, payloadCases } from './support/payload-cases.js';
import { accepts, fixtures, shippedSchemas } from './support/schemas.js';

const ajv = shippedSchemas();

function envelope(type: TaskEventType, payload: unknown) {
  return { type, taskId: 't-1', eventId: '3-0', createdAt: '2027-01-31T08:00:00Z', payload };
}

function action(acceptedAt: string) {
  return { suspendId: 's-1', clientActionId: 'a-1', actionType: 'approve', acceptedAt };
}

describe('payload checks', () => {
  it.each(payloadCases)('judge $type $payload as the schema does', ({ type, payload, fields }) => {
    expect(checkEventPayload(type, payload).map(({ field }) => field)).toEqual(fields);
    expect(accepts(ajv, 'task-event', envelope(type, payload))).toBe(fields.length === 0);
  });

  it.each(payloadCases)('judge $type $payload in its envelope', ({ type, payload, fields }) => {
    const prefixed = fields.map((field) => (field === '' ? 'payload' : `payload.${field}`));
    expect(checkEventEnvelope(envelope(type, payload)).map(({ field }) => field)).toEqual(prefixed);
  });

  it('say what is wrong with each field', () => {
    expect(checkEventPayload('TASK_PROGRESS', { progress: 101, stage: 7, eta: 'soon' })).toEqual([
      { field: 'progress', message: 'must be a number from 0 to 100' },
      { field: 'stage', message: 'must be a string' },
      { field: 'eta', message: 'is not a known field' },
    ]);
  });

  it.each(dateTimes)('take %s for a date-time, as the schema does', (text) => {
    expect(checkEventPayload('TASK_ACTION_ACCEPTED', action(text))).toEqual([]);
    expect(accepts(ajv, 'task-event', envelope('TASK_ACTION_ACCEPTED', action(text)))).toBe(true);
  });

  it.each(notDateTimes)('do not take %j for a date-time, nor does the schema', (text) => {
    expect(checkEventPayload('TASK_ACTION_ACCEPTED', action(text)).map(({ field }) => field)).toEqual(['acceptedAt']);
    expect(accepts(ajv, 'task-event', envelope('TASK_ACTION_ACCEPTED', action(text)))).toBe(false);
  });

  it.each(['2027-01-31 08:00:00Z', '2027-01-31T08:00:00+0100', '2027-01-31T08:00:00+01', '2027-01-31T24:59:00+01:00'])(
    'hold %s to RFC 3339, where ajv-formats is more lenient',
    (text) => {
      expect(isDateTime(text)).toBe(false);
      expect(accepts(ajv, 'task-event', envelope('TASK_ACTION_ACCEPTED', action(text)))).toBe(true);
    },
  );
});

const suspension = {
  suspendId: 's',
  kind: 'SYSTEM_PAUSED',
  reasonCode: 'r',
  allowedActions: ['a'],
  schemaVersion: 1,
};

describe('payload checks on values that are not parsed JSON', () => {
  class Progress {
    progress = 5;
    get stage() {
      return 7;
    }
  }

  it.each<[string, TaskEventType, unknown, boolean]>([
    ['an undefined member', 'TASK_STARTED', { message: undefined, extra: undefined }, true],
    ['an undefined result', 'TASK_COMPLETED', { result: undefined }, false],
    ['a function for a result', 'TASK_COMPLETED', { result: () => 1 }, false],
    ['a symbol for a result', 'TASK_COMPLETED', { result: Symbol('r') }, false],
    ['a number that is not finite', 'TASK_PROGRESS', { progress: Number.NaN }, false],
    ['an infinite number', 'TASK_PROGRESS', { progress: Number.POSITIVE_INFINITY }, false],
    ['a Date for an object', 'TASK_SUSPENDED', { ...suspension, uiHints: new Date(0) }, false],
    ['a Date for a text', 'TASK_STARTED', { message: new Date(0) }, false],
    ['a hole in an array', 'TASK_SUSPENDED', { ...suspension, allowedActions: Array(2).fill('a', 1) }, false],
    ['an inherited member', 'TASK_PROGRESS', Object.create({ progress: 5 }), false],
    ['a class with a getter', 'TASK_PROGRESS', new Progress(), true],
    ['an object without a prototype', 'TASK_STARTED', Object.assign(Object.create(null), { message: 'm' }), true],
  ])('accept or refuse %s', (_name, type, payload, isValid) => {
    expect(checkEventPayload(type, payload).length === 0).toBe(isValid);
  });
});

describe('envelope checks', () => {
  const events = fixtures.filter(({ schema }) => schema === 'task-event');

  it.each(events)('accept $name', ({ value }) => {
    expect(checkEventEnvelope(value)).toEqual([]);
  });

  it.each(events)('agree with the schema on every document one change away from $name', ({ value }) => {
    const verdicts = mutationsOf(value).map(({ label, value: changed }) => ({
      label,
      checks: checkEventEnvelope(changed).length === 0,
      schema: accepts(ajv, 'task-event', changed),
    }));
    expect(verdicts.filter(({ checks, schema }) => checks !== schema)).toEqual([]);
    expect(new Set(verdicts.map(({ schema }) => schema))).toEqual(new Set([true, false]));
  });

  it.each([null, undefined, 7, 'event', [], {}])('refuse %j', (value) => {
    expect(checkEventEnvelope(value)).not.toEqual([]);
  });

  it('do not take an SSE heartbeat for an event', () => {
    const [heartbeat] = fixtures.filter(({ schema }) => schema === 'sse-heartbeat');
    expect(checkEventEnvelope(heartbeat?.value).map(({ field }) => field)).toEqual(['type']);
  });
});
