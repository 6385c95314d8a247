import {
  isTerminalStatus,
  type TaskFailedPayload,
  type TaskProgressPayload,
  type TaskSnapshot,
  type TaskStatus,
} from '@taskbridge/protocol';
import { seqOf, type TaskEvent, type TaskSuspension, toSuspension } from '../task-events.js';

/** A task as a page shows it. */
export interface TaskView {
  taskId: string;
  /** `undefined` until the first answer of the server. */
  status: TaskStatus | undefined;
  progress: TaskProgressPayload | undefined;
  /** Questions that nobody has answered yet, oldest first. */
  openSuspensions: readonly TaskSuspension[];
  /** The result of a COMPLETED task. */
  result: unknown;
  /** Why the task FAILED. */
  failure: TaskFailedPayload | undefined;
  /** What was logged since the page began to look, oldest first. */
  events: readonly TaskEvent[];
  lastEventId: string | undefined;
  /** Why the task cannot be followed; `undefined` as long as it is. */
  error: unknown;
}

/** Before anything is known; what a server renders. */
export function emptyView(taskId: string): TaskView {
  return {
    taskId,
    status: undefined,
    progress: undefined,
    openSuspensions: [],
    result: undefined,
    failure: undefined,
    events: [],
    lastEventId: undefined,
    error: undefined,
  };
}

/** The view as of a snapshot; events that were seen stay. */
export function viewOfSnapshot(before: TaskView, task: TaskSnapshot): TaskView {
  return {
    ...before,
    status: task.status,
    progress: task.progress ?? undefined,
    openSuspensions: isTerminalStatus(task.status) ? [] : task.openSuspensions.map(toSuspension),
    result: task.result,
    failure: task.error,
    lastEventId: task.lastEventId ?? undefined,
  };
}

/** The view after these events; those that it has counted already change nothing. */
export function viewAfter(before: TaskView, events: readonly TaskEvent[]): TaskView {
  const { lastEventId = '0' } = before;
  const fresh = events.filter((event) => seqOf(event) > seqOf({ eventId: lastEventId }));
  if (fresh.length === 0) return before;
  return { ...fresh.reduce(afterEvent, before), events: [...before.events, ...fresh] };
}

function afterEvent(before: TaskView, event: TaskEvent): TaskView {
  const view = { ...before, lastEventId: event.eventId };
  switch (event.type) {
    case 'TASK_STARTED':
      return { ...view, status: 'RUNNING' };
    case 'TASK_PROGRESS':
      return { ...view, progress: event.payload };
    case 'TASK_SUSPENDED':
      return { ...view, openSuspensions: [...without(view, event.suspension.suspendId), event.suspension] };
    case 'TASK_ACTION_ACCEPTED':
      return { ...view, openSuspensions: without(view, event.payload.suspendId) };
    case 'TASK_COMPLETED':
      return { ...view, status: 'COMPLETED', openSuspensions: [], result: event.payload.result };
    case 'TASK_FAILED':
      return { ...view, status: 'FAILED', openSuspensions: [], failure: event.payload };
    case 'TASK_CANCELLED':
      return { ...view, status: 'CANCELLED', openSuspensions: [] };
    default:
      return view;
  }
}

/** Answered by this page, before the log says so. */
export function viewAfterAnswer(before: TaskView, suspendId: string): TaskView {
  return { ...before, openSuspensions: without(before, suspendId) };
}

function without({ openSuspensions }: TaskView, suspendId: string): readonly TaskSuspension[] {
  return openSuspensions.filter((suspension) => suspension.suspendId !== suspendId);
}
