import type { FastifyRequest } from 'fastify';
import { readCreateBody, traceparentOf } from '../../lib/controllers/create-body.js';
import { CancelTaskDto } from '../../lib/controllers/dto/cancel-task.dto.js';
import { CreateTaskDto } from '../../lib/controllers/dto/create-task.dto.js';
import { ListTasksQueryDto } from '../../lib/controllers/dto/list-tasks-query.dto.js';
import { PollEventsQueryDto } from '../../lib/controllers/dto/poll-events-query.dto.js';
import { SubmitActionDto } from '../../lib/controllers/dto/submit-action.dto.js';
import { asBoolean, asInteger, asText, readBody, readCursor, readQuery } from '../../lib/controllers/read-dto.js';
import { isTaskBridgeError, type FieldProblem, type TaskBridgeError } from '../../lib/taskbridge.errors.js';

const DEPTH = 32;
const create = { clientRequestId: 'key', taskType: 'report' };
const action = { clientActionId: 'a', suspendId: 's', actionType: 'approve' };

function refusal(read: () => unknown): TaskBridgeError {
  try {
    read();
  } catch (error) {
    if (isTaskBridgeError(error)) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

function problems(read: () => unknown): FieldProblem[] {
  const error = refusal(read);
  expect(error.code).toBe('REQUEST_VALIDATION_ERROR');
  return error.details?.['fields'] as FieldProblem[];
}

const fieldsOf = (read: () => unknown): string[] => problems(read).map(({ field }) => field);
const nested = (levels: number): Record<string, unknown> => (levels === 1 ? {} : { deeper: nested(levels - 1) });
const request = (headers: Record<string, string>): FastifyRequest => ({ headers }) as unknown as FastifyRequest;

const poll = (query: unknown): object =>
  readQuery(PollEventsQueryDto, query, { waitTimeoutMs: asInteger, maxEvents: asInteger, gap: asText });
const list = (query: unknown): object =>
  readQuery(ListTasksQueryDto, query, { status: asText, taskType: asText, waiting: asBoolean, limit: asInteger });

describe('request bodies', () => {
  it('keeps exactly the fields of a valid create', () => {
    const body = { ...create, input: { rows: [1, 'two', null] }, metadata: { app: 'web' } };
    expect({ ...readBody(CreateTaskDto, body, DEPTH) }).toEqual(body);
  });

  it('lists every missing, wrong and unknown field of a create at once', () => {
    const bad = { taskType: 7, input: [], extra: true };
    expect(fieldsOf(() => readBody(CreateTaskDto, bad, DEPTH)).toSorted()).toEqual([
      'clientRequestId',
      'extra',
      'input',
      'taskType',
    ]);
  });

  it.each([null, undefined, 'text', 7, []])('refuses %p in the place of a body', (body) => {
    expect(problems(() => readBody(CreateTaskDto, body, DEPTH))).toEqual([
      { field: 'body', message: 'must be a JSON object' },
    ]);
  });

  it.each([
    ['an empty key', { ...create, clientRequestId: '' }, 'clientRequestId'],
    ['a key of 256 characters', { ...create, clientRequestId: 'x'.repeat(256) }, 'clientRequestId'],
    ['a key with NUL', { ...create, clientRequestId: 'a\0b' }, 'clientRequestId'],
    ['a type with half a surrogate pair', { ...create, taskType: 'a\ud800' }, 'taskType'],
    ['a type of 129 characters', { ...create, taskType: 'x'.repeat(129) }, 'taskType'],
    ['null as input', { ...create, input: null }, 'input'],
    ['text as metadata', { ...create, metadata: 'x' }, 'metadata'],
    ['NUL deep inside the input', { ...create, input: { rows: [{ name: 'a\0' }] } }, 'input.rows[0].name'],
    ['NUL in a key of the input', { ...create, input: { 'a\0': 1 } }, 'input'],
    ['a number that is no number any more', { ...create, input: { n: Infinity } }, 'input.n'],
    ['a __proto__ key in the input', { ...create, input: JSON.parse('{"__proto__": {"a": 1}}') as object }, 'input'],
  ])('refuses a create with %s', (_what, body, field) => {
    expect(fieldsOf(() => readBody(CreateTaskDto, body, DEPTH))).toEqual([field]);
  });

  it('refuses an own __proto__ field of the body', () => {
    const body = JSON.parse('{"clientRequestId": "key", "taskType": "report", "__proto__": {"input": {}}}') as object;
    expect(fieldsOf(() => readBody(CreateTaskDto, body, DEPTH))).toEqual(['__proto__']);
  });

  it('accepts nesting up to the limit and refuses one level more', () => {
    expect(() => readBody(CreateTaskDto, { ...create, input: nested(DEPTH) }, DEPTH)).not.toThrow();
    const [problem] = problems(() => readBody(CreateTaskDto, { ...create, input: nested(DEPTH + 1) }, DEPTH));
    expect(problem?.message).toBe('is nested deeper than 32 levels');
  });

  it('survives nesting that would overflow a recursive check', () => {
    const body = JSON.parse(`{"input": ${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`) as object;
    expect(fieldsOf(() => readBody(CreateTaskDto, { ...create, ...body }, DEPTH))).toHaveLength(1);
  });

  it('reads an answer and refuses its misfits', () => {
    expect({ ...readBody(SubmitActionDto, action, DEPTH) }).toEqual(action);
    const bad = {
      clientActionId: 'x'.repeat(256),
      suspendId: '',
      actionType: 'x'.repeat(129),
      payload: 1,
      metadata: [],
    };
    const fields = fieldsOf(() => readBody(SubmitActionDto, bad, DEPTH)).toSorted();
    expect(fields).toEqual(['actionType', 'clientActionId', 'metadata', 'payload', 'suspendId']);
  });

  it('limits the reason of a cancel to 1000 characters', () => {
    expect({ ...readBody(CancelTaskDto, {}, DEPTH) }).toEqual({});
    expect(readBody(CancelTaskDto, { reason: 'x'.repeat(1000) }, DEPTH).reason).toHaveLength(1000);
    expect(fieldsOf(() => readBody(CancelTaskDto, { reason: 'x'.repeat(1001) }, DEPTH))).toEqual(['reason']);
  });
});

describe('the Idempotency-Key header', () => {
  it('stands in for an absent clientRequestId', () => {
    const body = readCreateBody(request({ 'idempotency-key': 'from-header' }), { taskType: 'report' }, DEPTH);
    expect(body.clientRequestId).toBe('from-header');
  });

  it('may repeat the clientRequestId but not differ from it', () => {
    expect(readCreateBody(request({ 'idempotency-key': 'key' }), create, DEPTH).clientRequestId).toBe('key');
    const differing = () => readCreateBody(request({ 'idempotency-key': 'other' }), create, DEPTH);
    expect(fieldsOf(differing)).toEqual(['Idempotency-Key']);
  });
});

describe('the traceparent header', () => {
  const valid = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  it('is passed on when it is well-formed', () => {
    expect(traceparentOf(request({ traceparent: valid }))).toBe(valid);
  });

  it.each(['', 'garbage', valid.toUpperCase(), `${valid}-more`, `00-${'0'.repeat(32)}-b7ad6b7169203331-01`])(
    'is dropped when it is %p',
    (traceparent) => {
      expect(traceparentOf(request({ traceparent }))).toBeUndefined();
    },
  );
});

describe('query parameters', () => {
  it('become numbers and booleans, and unknown ones are ignored', () => {
    expect({ ...poll({ waitTimeoutMs: '0', maxEvents: '500', other: 'x' }) }).toEqual({
      waitTimeoutMs: 0,
      maxEvents: 500,
    });
    const filters = { status: 'RUNNING', taskType: '7', waiting: 'false', limit: '200' };
    expect({ ...list(filters) }).toEqual({ status: 'RUNNING', taskType: '7', waiting: false, limit: 200 });
  });

  it.each([
    [{ waitTimeoutMs: '60001' }, 'waitTimeoutMs'],
    [{ waitTimeoutMs: '-1' }, 'waitTimeoutMs'],
    [{ waitTimeoutMs: 'soon' }, 'waitTimeoutMs'],
    [{ waitTimeoutMs: ['1', '2'] }, 'waitTimeoutMs'],
    [{ maxEvents: '0' }, 'maxEvents'],
    [{ maxEvents: '501' }, 'maxEvents'],
    [{ maxEvents: '1.5' }, 'maxEvents'],
    [{ maxEvents: '' }, 'maxEvents'],
  ])('refuses a poll with %j', (query, field) => {
    expect(fieldsOf(() => poll(query))).toEqual([field]);
  });

  it.each([
    [{ status: 'DONE' }, 'status'],
    [{ waiting: 'maybe' }, 'waiting'],
    [{ limit: '201' }, 'limit'],
    [{ taskType: 'a\0' }, 'taskType'],
  ])('refuses a list with %j', (query, field) => {
    expect(fieldsOf(() => list(query))).toEqual([field]);
  });

  it('refuses a cursor that comes twice, and takes an empty one as none', () => {
    expect(refusal(() => readCursor({ cursor: ['a', 'b'] }, 'cursor')).code).toBe('INVALID_CURSOR');
    expect(readCursor({ cursor: '' }, 'cursor')).toBeUndefined();
    expect(readCursor({ cursor: '7-0' }, 'cursor')).toBe('7-0');
  });
});
