import type { TaskEvent, TaskSuspension } from '@taskbridge/client';
import type { TaskProgressPayload } from '@taskbridge/protocol';
import { printable, printableLine, textOf } from '../printable.js';

/** One line for an event, more where it has a result. */
export function eventText(event: TaskEvent): string {
  const createdAt = printableLine(event.createdAt);
  const [, time = createdAt] = /T(\d\d:\d\d:\d\d)/.exec(createdAt) ?? [];
  return printable(`${time}  ${whatHappened(event)}\n`);
}

/** The percentage, and what the task says about it. */
export function progressText({ progress, stage, message }: TaskProgressPayload): string {
  return [`${Math.round(progress)} %`, saidOf({ stage, message })].join('  ').trimEnd();
}

/** Stage and message on one line. */
export function saidOf({ stage, message }: Pick<TaskProgressPayload, 'stage' | 'message'>): string {
  return printableLine([stage, message].filter(Boolean).map(textOf).join(': '));
}

/** What a question asks: the first of the places where hosts say it in words. */
export function questionText({ uiHints, interaction, reasonCode }: TaskSuspension): string {
  const places = [uiHints['title'], interaction['title'], interaction['question'], interaction['message']];
  return printableLine(places.find((place) => typeof place === 'string' && place !== '')?.toString() ?? reasonCode);
}

/** The answers that it takes. */
export function allowedAnswers({ allowedActions }: Pick<TaskSuspension, 'allowedActions'>): string[] {
  return Array.isArray(allowedActions) ? allowedActions.map(textOf) : [];
}

function whatHappened(event: TaskEvent): string {
  switch (event.type) {
    case 'TASK_STARTED':
      return withDetail('started', event.payload.message);
    case 'TASK_PROGRESS':
      return progressText(event.payload);
    case 'TASK_MESSAGE':
      return `${textOf(event.payload.level ?? 'info')}: ${event.payload.message}`;
    case 'TASK_SUSPENDED':
      return asked(event.suspension);
    case 'TASK_ACTION_ACCEPTED':
      return `answered: ${printableLine(event.payload.actionType)}`;
    case 'TASK_COMPLETED':
      return completed(event.payload.result);
    case 'TASK_FAILED':
      return `failed: ${event.payload.code}: ${event.payload.message}`;
    case 'TASK_CANCELLED':
      return `cancelled: ${event.payload.reason}`;
    default:
      return printableLine(event.wireType);
  }
}

function asked(question: TaskSuspension): string {
  const until = question.expiresAt === null ? '' : `, until ${textOf(question.expiresAt)}`;
  return `asks: ${questionText(question)} (${printableLine(allowedAnswers(question).join(', '))}${until})`;
}

function completed(result: unknown): string {
  return result === null || result === undefined ? 'completed' : `completed\n${JSON.stringify(result, undefined, 2)}`;
}

function withDetail(text: string, detail: unknown): string {
  return detail ? `${text}: ${textOf(detail)}` : text;
}
