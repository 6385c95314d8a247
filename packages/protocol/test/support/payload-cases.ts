import type { TaskEventType } from '@taskbridge/protocol';

export interface PayloadCase {
  type: TaskEventType;
  payload: unknown;
  /** The fields with a problem, in the order they are reported; none for a good payload. */
  fields: string[];
}

const suspended = {
  suspendId: 's-1',
  kind: 'USER_ACTION_REQUIRED',
  reasonCode: 'needs_review',
  allowedActions: ['approve'],
  schemaVersion: 1,
};
const accepted = { suspendId: 's-1', clientActionId: 'a-1', actionType: 'approve', acceptedAt: '2027-01-31T08:00:00Z' };

function good(type: TaskEventType, ...payloads: unknown[]): PayloadCase[] {
  return payloads.map((payload) => ({ type, payload, fields: [] }));
}

function bad(type: TaskEventType, payload: unknown, ...fields: string[]): PayloadCase {
  return { type, payload, fields };
}

/** Payloads as a reader would parse them: JSON values only. */
export const payloadCases: PayloadCase[] = [
  ...good('TASK_STARTED', {}, { message: '' }, { message: 'off we go' }),
  bad('TASK_STARTED', { message: null }, 'message'),
  bad('TASK_STARTED', { attempt: 2 }, 'attempt'),
  bad('TASK_STARTED', { constructor: 1 }, 'constructor'),
  bad('TASK_STARTED', JSON.parse('{"__proto__":{}}'), '__proto__'),
  bad('TASK_STARTED', null, ''),
  bad('TASK_STARTED', [], ''),
  bad('TASK_STARTED', 'started', ''),

  ...good('TASK_PROGRESS', { progress: 0 }, { progress: 100 }, { progress: 99.999, stage: '', message: '' }),
  bad('TASK_PROGRESS', {}, 'progress'),
  bad('TASK_PROGRESS', { progress: -0.001 }, 'progress'),
  bad('TASK_PROGRESS', { progress: 100.001 }, 'progress'),
  bad('TASK_PROGRESS', { progress: '40' }, 'progress'),
  bad('TASK_PROGRESS', { progress: null }, 'progress'),
  bad('TASK_PROGRESS', { progress: 1, stage: 2, message: 3, total: 4 }, 'stage', 'message', 'total'),

  ...good('TASK_MESSAGE', { message: '' }, ...['info', 'warning', 'debug'].map((level) => ({ message: 'm', level }))),
  bad('TASK_MESSAGE', { level: 'info' }, 'message'),
  bad('TASK_MESSAGE', { message: 'm', level: 'error' }, 'level'),
  bad('TASK_MESSAGE', { message: 'm', level: 'Info' }, 'level'),

  ...good('TASK_SUSPENDED', suspended),
  ...good('TASK_SUSPENDED', {
    ...suspended,
    expiresAt: null,
    uiHints: {},
    interaction: { question: { en: 'Go on?' } },
  }),
  ...good('TASK_SUSPENDED', { ...suspended, kind: 'EXTERNAL_CONFIRMATION_PENDING', allowedActions: ['', 'a', 'a'] }),
  ...good('TASK_SUSPENDED', { ...suspended, kind: 'SYSTEM_PAUSED', schemaVersion: 3.0 }),
  bad('TASK_SUSPENDED', {}, 'suspendId', 'kind', 'reasonCode', 'allowedActions', 'schemaVersion'),
  bad('TASK_SUSPENDED', { ...suspended, kind: 'COFFEE_BREAK' }, 'kind'),
  bad('TASK_SUSPENDED', { ...suspended, allowedActions: [] }, 'allowedActions'),
  bad('TASK_SUSPENDED', { ...suspended, allowedActions: 'approve' }, 'allowedActions'),
  bad('TASK_SUSPENDED', { ...suspended, allowedActions: ['approve', 1] }, 'allowedActions'),
  bad('TASK_SUSPENDED', { ...suspended, schemaVersion: 0 }, 'schemaVersion'),
  bad('TASK_SUSPENDED', { ...suspended, schemaVersion: 1.5 }, 'schemaVersion'),
  bad('TASK_SUSPENDED', { ...suspended, schemaVersion: '1' }, 'schemaVersion'),
  bad('TASK_SUSPENDED', { ...suspended, uiHints: [], interaction: 'ask' }, 'uiHints', 'interaction'),
  bad('TASK_SUSPENDED', { ...suspended, createdAt: '2027-01-31T08:00:00Z' }, 'createdAt'),

  ...good('TASK_ACTION_ACCEPTED', accepted, { ...accepted, message: 'noted' }),
  bad('TASK_ACTION_ACCEPTED', {}, 'suspendId', 'clientActionId', 'actionType', 'acceptedAt'),
  bad('TASK_ACTION_ACCEPTED', { ...accepted, acceptedAt: null }, 'acceptedAt'),
  bad('TASK_ACTION_ACCEPTED', { ...accepted, acceptedAt: 1_800_000_000 }, 'acceptedAt'),
  bad('TASK_ACTION_ACCEPTED', { ...accepted, payload: {} }, 'payload'),

  ...good(
    'TASK_COMPLETED',
    { result: null },
    { result: false },
    { result: [] },
    { result: { a: 1 }, tookMs: 3, x: null },
  ),
  bad('TASK_COMPLETED', {}, 'result'),
  bad('TASK_COMPLETED', { output: 1 }, 'result'),

  ...good('TASK_FAILED', { code: 'E', message: '', retryable: false }),
  bad('TASK_FAILED', {}, 'code', 'message', 'retryable'),
  bad('TASK_FAILED', { code: 1, message: 'm', retryable: 'no' }, 'code', 'retryable'),
  bad('TASK_FAILED', { code: 'E', message: 'm', retryable: true, stack: '' }, 'stack'),

  ...good('TASK_CANCELLED', { reason: '' }, { reason: 'cancelled_by_user', message: 'stop' }),
  bad('TASK_CANCELLED', { message: 'stop' }, 'reason'),
  bad('TASK_CANCELLED', { reason: 'r', by: 'me' }, 'by'),
];

/** Texts that RFC 3339 allows as a date-time. */
export const dateTimes = [
  '2027-01-31T08:00:00Z',
  '2027-01-31t08:00:00.123456789z',
  '2028-02-29T00:00:00+00:00',
  '2000-02-29T23:59:59-23:59',
  '2016-12-31T23:59:60Z',
  '2017-01-01T05:29:60+05:30',
  '2016-12-31T15:59:60.5-08:00',
];

/** Texts that it does not, and that format checkers agree on. */
export const notDateTimes = [
  '',
  'tomorrow',
  '2027-01-31',
  '2027-01-31T08:00:00',
  '2027-01-31T08:00Z',
  '2027-01-31T8:00:00Z',
  '2027-02-29T08:00:00Z',
  '1900-02-29T08:00:00Z',
  '2027-04-31T08:00:00Z',
  '2027-13-01T08:00:00Z',
  '2027-00-01T08:00:00Z',
  '2027-01-00T08:00:00Z',
  '2027-01-31T24:00:00Z',
  '2027-01-31T08:60:00Z',
  '2027-01-31T08:00:61Z',
  '2027-01-31T08:00:60Z',
  '2027-01-31T08:00:00.Z',
  '2027-01-31T08:00:00+24:00',
  '2027-01-31T08:00:00Z\n',
  '+02027-01-31T08:00:00Z',
];
