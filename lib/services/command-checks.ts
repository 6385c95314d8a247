import { MAX_ACTION_TYPE_LENGTH } from '../stores/suspension-request.js';
import type { FieldProblem } from '../taskbridge.errors.js';
import { validationError } from '../taskbridge.errors.js';
import type { SubmitActionCommand, TaskCreateCommand } from './commands.js';

/** Longest identifiers and names a command may carry, in characters; the DTOs use the same. */
export const LIMITS = {
  identifier: 255,
  taskType: 128,
  actionType: MAX_ACTION_TYPE_LENGTH,
  reason: 1_000,
} as const;

/** Refuses what the database could not store, with every offending field; hosts call the services without a DTO. */
export function checkCreateCommand(command: TaskCreateCommand): void {
  refuseProblems([
    ...checkText('auth.subject', command.auth.subject, LIMITS.identifier),
    ...checkText('clientRequestId', command.clientRequestId, LIMITS.identifier),
    ...checkText('taskType', command.taskType, LIMITS.taskType),
    ...checkJson('input', command.input),
    ...checkJson('metadata', command.metadata),
    ...checkDeadline(command.deadlineMs),
  ]);
}

/** The same for an answer. */
export function checkActionCommand(command: SubmitActionCommand): void {
  refuseProblems([
    ...checkText('clientActionId', command.clientActionId, LIMITS.identifier),
    ...checkText('suspendId', command.suspendId, LIMITS.identifier),
    ...checkText('actionType', command.actionType, LIMITS.actionType),
    ...checkJson('payload', command.payload),
    ...checkJson('metadata', command.metadata),
  ]);
}

/** The same for a cancellation's reason. */
export function checkReason(reason: string): void {
  refuseProblems(checkText('reason', reason, LIMITS.reason));
}

function refuseProblems(problems: readonly FieldProblem[]): void {
  if (problems.length > 0) throw validationError(problems);
}

function checkText(field: string, value: unknown, longest: number): FieldProblem[] {
  if (typeof value !== 'string' || value === '') return [{ field, message: 'must be a non-empty text' }];
  if (value.length > longest) return [{ field, message: `must have at most ${longest} characters` }];
  if (!isStorableText(value)) return [{ field, message: 'must not contain NUL or half a surrogate pair' }];
  return [];
}

/** What is inside is checked where it is written. */
function checkJson(field: string, value: unknown): FieldProblem[] {
  const isAbsent = value === undefined || value === null;
  return isAbsent || (typeof value === 'object' && !Array.isArray(value))
    ? []
    : [{ field, message: 'must be an object' }];
}

function checkDeadline(deadlineMs: number | undefined): FieldProblem[] {
  if (deadlineMs === undefined || (Number.isSafeInteger(deadlineMs) && deadlineMs > 0)) return [];
  return [{ field: 'deadlineMs', message: 'must be a positive number of milliseconds' }];
}

/** Postgres stores neither U+0000 nor a lone surrogate. */
export function isStorableText(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}
