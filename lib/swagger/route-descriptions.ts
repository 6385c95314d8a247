import type { Type } from '@nestjs/common';
import type { ApiQueryOptions } from '@nestjs/swagger';
import { TASK_STATUSES } from '@taskbridge/protocol';
import { TaskDiagnosis } from './diagnosis.models.js';
import { EVENT_ID } from './event.models.js';
import {
  CancelTaskRequest,
  TaskClientActionRequest,
  TaskCreateJsonRequest,
  TaskCreateMultipartRequest,
} from './request.models.js';
import {
  CancelTaskResponse,
  HealthResponse,
  PollEventsResponse,
  ReadinessResponse,
  StreamTicketResponse,
  TaskClientActionResponse,
  TaskCreatedResponse,
  TaskListResponse,
  TaskSnapshot,
} from './response.models.js';

export interface RouteBody {
  /** `false`: it may be left out. */
  required: boolean;
  json: Type;
  multipart?: Type;
}

export interface RouteDescription {
  tag: 'tasks' | 'streaming' | 'health';
  summary: string;
  description?: string;
  query?: ApiQueryOptions[];
  header?: { name: string; description: string };
  body?: RouteBody;
  answers: Record<number, { description: string; model?: Type; contentType?: 'text/event-stream' }>;
  /** Statuses whose body is the error envelope. */
  refusals: number[];
}

const GAP: ApiQueryOptions = {
  name: 'gap',
  required: false,
  schema: { type: 'string', enum: ['error'] },
  description:
    'Answers 410 where events after the cursor are no longer stored; absent: goes on with the oldest stored one.',
};
const TICKET: ApiQueryOptions = {
  name: 'ticket',
  required: false,
  schema: { type: 'string' },
  description: 'Stands in for credentials, once.',
};
const CURSOR = { schema: EVENT_ID, required: false } as const;

/** What each handler of the library's controllers does, by its name. */
export const ROUTES: Readonly<Record<string, RouteDescription>> = {
  createTask: {
    tag: 'tasks',
    summary: 'Create a task',
    description: 'Idempotent by `clientRequestId` within the caller. Unknown fields are refused.',
    header: { name: 'Idempotency-Key', description: 'Stands in for `clientRequestId`.' },
    body: { json: TaskCreateJsonRequest, multipart: TaskCreateMultipartRequest, required: true },
    answers: {
      201: { description: 'A new task', model: TaskCreatedResponse },
      200: { description: 'The task that the same request had created before', model: TaskCreatedResponse },
    },
    refusals: [400, 401, 403, 409, 413, 415, 422, 503],
  },
  listTasks: {
    tag: 'tasks',
    summary: "List the caller's own tasks, newest first",
    query: [
      { name: 'status', required: false, schema: { type: 'string', enum: [...TASK_STATUSES] } },
      { name: 'taskType', required: false, schema: { type: 'string', minLength: 1, maxLength: 128 } },
      {
        name: 'waiting',
        required: false,
        schema: { type: 'boolean' },
        description: 'With an open question, or without.',
      },
      { name: 'limit', required: false, schema: { type: 'integer', minimum: 1, maximum: 200, default: 50 } },
      {
        name: 'cursor',
        required: false,
        schema: { type: 'string' },
        description: '`nextCursor` of the previous page.',
      },
    ],
    answers: { 200: { description: 'One page', model: TaskListResponse } },
    refusals: [400, 401, 422],
  },
  getTask: {
    tag: 'tasks',
    summary: 'Read a task as of its last event',
    answers: { 200: { description: 'The task', model: TaskSnapshot } },
    refusals: [401, 404],
  },
  diagnoseTask: {
    tag: 'tasks',
    summary: 'Tell why a task does not go on',
    description: 'What it waits for: a hand-off and its last error, a run and its lease, a free slot, a person.',
    answers: { 200: { description: 'At least one reason', model: TaskDiagnosis } },
    refusals: [401, 404],
  },
  pollEvents: {
    tag: 'streaming',
    summary: 'Read the events after a cursor, waiting for the first one',
    query: [
      { name: 'afterEventId', ...CURSOR, description: 'Only strictly newer events; absent: from the start.' },
      {
        name: 'waitTimeoutMs',
        required: false,
        schema: { type: 'integer', minimum: 0, maximum: 60_000, default: 25_000 },
      },
      { name: 'maxEvents', required: false, schema: { type: 'integer', minimum: 1, maximum: 500, default: 100 } },
      GAP,
    ],
    answers: { 200: { description: 'Events newer than the cursor, in order', model: PollEventsResponse } },
    refusals: [400, 401, 403, 404, 410, 422, 503],
  },
  stream: {
    tag: 'streaming',
    summary: 'Follow the events as server-sent events',
    description: 'Each frame has an `id:` and a TaskEvent as its `data:`. The response ends after the terminal event.',
    query: [{ name: 'lastEventId', ...CURSOR, description: 'Resume after this event.' }, GAP, TICKET],
    header: { name: 'Last-Event-ID', description: 'Beats the query.' },
    answers: {
      200: { description: 'The stream', contentType: 'text/event-stream' },
      204: { description: 'The cursor is at the terminal event: nothing will follow' },
    },
    refusals: [400, 401, 404, 410, 422, 503],
  },
  cancelTask: {
    tag: 'tasks',
    summary: 'Cancel a task',
    body: { json: CancelTaskRequest, required: false },
    answers: { 202: { description: 'Requested, or already ended', model: CancelTaskResponse } },
    refusals: [400, 401, 403, 404, 413, 415, 422],
  },
  submitAction: {
    tag: 'tasks',
    summary: 'Answer a suspension',
    description: 'Idempotent by `clientActionId`. An accepted answer appears in the log as TASK_ACTION_ACCEPTED.',
    body: { json: TaskClientActionRequest, required: true },
    answers: {
      202: { description: 'Accepted, or rejected because it came too late', model: TaskClientActionResponse },
      200: { description: 'Accepted before', model: TaskClientActionResponse },
    },
    refusals: [400, 401, 404, 409, 413, 415, 422],
  },
  issueTicket: {
    tag: 'streaming',
    summary: 'Get a ticket for one stream',
    description:
      'For clients that cannot send credentials: presented once, as `ticket`, it opens one stream of this task for the ' +
      'caller it was issued to, whose access is checked again.',
    answers: { 201: { description: 'A ticket', model: StreamTicketResponse } },
    refusals: [401, 404, 413, 415],
  },
  getHealth: {
    tag: 'health',
    summary: 'The process serves',
    answers: { 200: { description: 'Always', model: HealthResponse } },
    refusals: [],
  },
  getReadiness: {
    tag: 'health',
    summary: 'The process can take work',
    answers: {
      200: { description: 'Every check passes', model: ReadinessResponse },
      503: { description: 'A check fails, or the process shuts down', model: ReadinessResponse },
    },
    refusals: [],
  },
};

/** What each status means, whichever route answers it. */
export const REFUSALS: Readonly<Record<number, string>> = {
  400: 'INVALID_REQUEST, INVALID_CURSOR or UPLOAD_VALIDATION_ERROR',
  401: 'AUTHENTICATION_ERROR',
  403: 'TASK_OWNERSHIP_ERROR, or a refusal by a guard of the host',
  404: "TASK_NOT_FOUND or SUSPENSION_NOT_FOUND: unknown or not the caller's",
  409: 'IDEMPOTENCY_CONFLICT or ACTION_NOT_ALLOWED',
  410: 'EVENT_GAP; `details` has `retainedFromEventId` and a `snapshot` to go on from',
  413: 'PAYLOAD_TOO_LARGE',
  415: 'UNSUPPORTED_MEDIA_TYPE',
  422: 'REQUEST_VALIDATION_ERROR; `details.fields` lists every offending field',
  503: 'TASK_SUBMISSION_ERROR, or SERVICE_UNAVAILABLE while shutting down',
};
