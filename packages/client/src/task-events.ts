import {
  parseCursor,
  type JsonObject,
  type TaskActionAcceptedPayload,
  type TaskEventOf,
  type TaskEventType,
  type TaskFailedPayload,
  type TaskProgressPayload,
  type TaskSuspendedPayload,
} from '@taskbridge/protocol';

/** The first attempt began. */
export type TaskStartedEvent = TaskEventOf<'TASK_STARTED'>;

/** How far the work is; the percentage may go back after a retry. */
export type TaskProgressEvent = TaskEventOf<'TASK_PROGRESS'>;

/** A line for the reader. */
export type TaskMessageEvent = TaskEventOf<'TASK_MESSAGE'>;

/** A question: its payload once more, with everything optional filled in. */
export interface TaskSuspension extends Required<TaskSuspendedPayload> {
  /** `null`: the question never expires. */
  expiresAt: string | null;
  uiHints: JsonObject;
  interaction: JsonObject;
}

/** The task waits for an answer to `suspension`; `submitAction` gives it. */
export interface TaskSuspendedEvent extends TaskEventOf<'TASK_SUSPENDED'> {
  suspension: TaskSuspension;
}

/** An answer won its question. */
export type TaskActionAcceptedEvent = TaskEventOf<'TASK_ACTION_ACCEPTED'>;

/** The task ended with a result; nothing follows. */
export type TaskCompletedEvent = TaskEventOf<'TASK_COMPLETED'>;

/** The task failed; nothing follows. */
export type TaskFailedEvent = TaskEventOf<'TASK_FAILED'>;

/** The task was cancelled; nothing follows. */
export type TaskCancelledEvent = TaskEventOf<'TASK_CANCELLED'>;

/**
 * An event whose type this version does not know, or whose payload lacks what its type needs. It has its place in the
 * log like any other; `wireType` is the type that the server gave it.
 */
export interface UnknownTaskEvent {
  type: 'UNKNOWN';
  wireType: string;
  taskId: string;
  eventId: string;
  createdAt: string;
  payload: unknown;
}

/** An event that ends its task's log. */
export type TerminalTaskEvent = TaskCompletedEvent | TaskFailedEvent | TaskCancelledEvent;

/** Any event of a task's log; checking `type` narrows `payload`. */
export type TaskEvent =
  | TaskStartedEvent
  | TaskProgressEvent
  | TaskMessageEvent
  | TaskSuspendedEvent
  | TaskActionAcceptedEvent
  | TerminalTaskEvent
  | UnknownTaskEvent;

/** The progress that an event reports; `undefined` for events of other types. */
export function asProgress(event: TaskEvent): TaskProgressPayload | undefined {
  return event.type === 'TASK_PROGRESS' ? event.payload : undefined;
}

/** Why the task failed; `undefined` for events of other types, a cancellation included. */
export function asFailure(event: TaskEvent): TaskFailedPayload | undefined {
  return event.type === 'TASK_FAILED' ? event.payload : undefined;
}

/** The question that an event asks; `undefined` for events of other types. */
export function asSuspension(event: TaskEvent): TaskSuspension | undefined {
  return event.type === 'TASK_SUSPENDED' ? event.suspension : undefined;
}

/** The answer that an event tells of; `undefined` for events of other types. */
export function asActionAccepted(event: TaskEvent): TaskActionAcceptedPayload | undefined {
  return event.type === 'TASK_ACTION_ACCEPTED' ? event.payload : undefined;
}

/** Tells whether the event ends its task's log. */
export function isTerminalEvent(event: TaskEvent): event is TerminalTaskEvent {
  return event.type === 'TASK_COMPLETED' || event.type === 'TASK_FAILED' || event.type === 'TASK_CANCELLED';
}

/** The event's number in its task's log, from 1. */
export function seqOf({ eventId }: Pick<TaskEvent, 'eventId'>): number {
  return parseCursor(eventId) ?? 0;
}

/** What a payload has to have, so that its readers can rely on its type, by an example of each member. */
const MEMBERS: Record<TaskEventType, Record<string, string | number | object>> = {
  TASK_STARTED: {},
  TASK_COMPLETED: {},
  TASK_PROGRESS: { progress: 0 },
  TASK_MESSAGE: { message: '' },
  TASK_SUSPENDED: { suspendId: '', allowedActions: [] },
  TASK_ACTION_ACCEPTED: { suspendId: '' },
  TASK_FAILED: { code: '', message: '' },
  TASK_CANCELLED: { reason: '' },
};

/** Reads an envelope off the wire; `undefined` when it has no place in the task's log. */
export function toTaskEvent(raw: unknown, taskId: string): TaskEvent | undefined {
  if (!isEnvelope(raw) || raw.taskId.toLowerCase() !== taskId.toLowerCase() || !parseCursor(raw.eventId))
    return undefined;
  const { type: wireType, eventId, createdAt, payload } = raw;
  if (!isWhole(raw)) return { type: 'UNKNOWN', wireType, taskId: raw.taskId, eventId, createdAt, payload };
  const event = raw as unknown as KnownEvent;
  return event.type === 'TASK_SUSPENDED' ? { ...event, suspension: toSuspension(event.payload) } : event;
}

function isWhole({ type, payload }: Envelope): boolean {
  if (!Object.hasOwn(MEMBERS, type) || typeof payload !== 'object' || payload === null) return false;
  const members = payload as Record<string, unknown>;
  return Object.entries(MEMBERS[type as TaskEventType]).every(
    ([name, example]) => members[name] !== null && typeof members[name] === typeof example,
  );
}

/** Any but `UNKNOWN`, as it comes: a question has no `suspension` yet. */
type KnownEvent = Exclude<TaskEvent, UnknownTaskEvent>;
type Envelope = Record<'type' | 'taskId' | 'eventId' | 'createdAt', string> & { payload: unknown };

function isEnvelope(raw: unknown): raw is Envelope {
  const { type, taskId, eventId } = (raw ?? {}) as Partial<Envelope>;
  return [type, taskId, eventId].every((member) => typeof member === 'string');
}

/** Fills in what the wire may leave out. */
export function toSuspension(payload: TaskSuspendedPayload): TaskSuspension {
  return {
    ...payload,
    expiresAt: payload.expiresAt ?? null,
    uiHints: payload.uiHints ?? {},
    interaction: payload.interaction ?? {},
  };
}
