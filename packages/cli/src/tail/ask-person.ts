import { isCancel, log, select } from '@clack/prompts';
import type { TaskSuspension } from '@taskbridge/client';
import type { JsonObject } from '@taskbridge/protocol';
import type { Terminal } from '../command-context.js';
import { printable, printableLine, textOf } from '../printable.js';
import { askPayload } from './ask-payload.js';
import { allowedAnswers, questionText } from './event-text.js';

/** What a person has decided. */
export interface Answer {
  actionType: string;
  payload: JsonObject | undefined;
}

export interface Asking {
  terminal: Terminal;
  /** What was wrong with the answer before. */
  problem: string | undefined;
  /** Takes the question back. */
  signal: AbortSignal;
}

const LATER = '';
const MAX_DETAIL_LINES = 20;
const MAX_LINE = 200;

/** Resolves with `leave` after Ctrl-C or Escape, and when the question is taken back. */
export async function askPerson(
  question: TaskSuspension,
  { terminal, problem, signal }: Asking,
): Promise<Answer | 'leave' | 'later'> {
  const { output } = terminal;
  const details = detailsOf(question);
  if (problem !== undefined) log.error(printable(problem), { output });
  else if (details !== '') log.message(details, { output });
  const actionType = await select({
    ...terminal,
    signal,
    message: questionText(question),
    options: [
      ...allowedAnswers(question).map((action) => ({ value: action, label: printableLine(action) })),
      { value: LATER, label: 'not now', hint: 'the task goes on waiting' },
    ],
  });
  if (isCancel(actionType)) return 'leave';
  if (actionType === LATER) return 'later';
  const payload = await askPayload(schemaOf(question, actionType), { terminal, signal });
  return payload === 'leave' ? payload : { actionType, payload };
}

/** What the host tells besides, as far as it fits. */
function detailsOf({ interaction, expiresAt }: TaskSuspension): string {
  const { actionSchemas: _schemas, title: _title, question: _question, message: _message, ...facts } = interaction;
  const lines = Object.entries(facts).map(([name, value]) => `${name}: ${textOf(value)}`.slice(0, MAX_LINE));
  const shown = lines.length > MAX_DETAIL_LINES ? [...lines.slice(0, MAX_DETAIL_LINES), '…'] : lines;
  return [...shown, ...(expiresAt === null ? [] : [`expires: ${textOf(expiresAt)}`])].map(printableLine).join('\n');
}

function schemaOf({ interaction }: TaskSuspension, actionType: string): unknown {
  const { actionSchemas } = interaction;
  return typeof actionSchemas === 'object' && actionSchemas !== null && Object.hasOwn(actionSchemas, actionType)
    ? (actionSchemas as Record<string, unknown>)[actionType]
    : undefined;
}
