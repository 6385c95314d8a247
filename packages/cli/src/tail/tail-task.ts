import { isTerminalEvent, type TaskBridgeClient, type TaskEvent, type TaskGap } from '@taskbridge/client';
import { isTerminalStatus, type OpenSuspensionView, type TaskStatus } from '@taskbridge/protocol';
import { type ConnectionOptions, connectionWords } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { EXIT_CODES, type ExitCode } from '../exit-codes.js';
import { openQuestions } from '../open-questions.js';
import { printableLine } from '../printable.js';
import { shellWords } from '../shell-words.js';
import { JsonView } from './json-view.js';
import type { OutageNotes } from './outage-notes.js';
import { QuestionDesk } from './question-desk.js';
import { ScreenView } from './screen-view.js';
import type { TailOptions } from './tail-options.js';
import type { TailView } from './tail-view.js';
import { TextView } from './text-view.js';

export interface Tailing {
  client: TaskBridgeClient;
  /** Of this client. */
  outages: OutageNotes;
  taskId: string;
  options: ConnectionOptions & TailOptions;
  context: CommandContext;
}

const EXIT_OF_STATUS: Partial<Record<TaskStatus, ExitCode>> = {
  FAILED: EXIT_CODES.failed,
  CANCELLED: EXIT_CODES.cancelled,
};
const EXIT_OF_EVENT: Partial<Record<TaskEvent['type'], ExitCode>> = {
  TASK_FAILED: EXIT_CODES.failed,
  TASK_CANCELLED: EXIT_CODES.cancelled,
};

/** Time for what is left of the log to be shown before its open questions are asked. */
const CATCH_UP_MS = 500;

/** Follows the task until it ends, which is the command's end too, or until Ctrl-C, which leaves the task alone. */
export async function tailTask(tailing: Tailing): Promise<void> {
  const { client, taskId, options, context } = tailing;
  const interruption = context.interruption();
  const { signal } = interruption;
  const view = viewOf(tailing);
  // A line between those of the view would break its bar.
  if (context.terminal) tailing.outages.tell = (text) => view.note(text);
  const desk = deskOf(tailing, view, () => interruption.abort());
  let last: TaskEvent | undefined;
  let offering: NodeJS.Timeout | undefined;
  try {
    const task = await client.getTask(taskId, { signal });
    const questions = openQuestions(task);
    if (!options.json) view.note(`Task ${printableLine(task.taskId)} (${printableLine(task.taskType)})`);
    offering = setTimeout(() => offerOpenQuestions(desk, questions, options), CATCH_UP_MS);
    const onGap = (gap: TaskGap) => view.gap(gap);
    for await (const event of client.observeTaskEvents(taskId, { lastEventId: options.after, signal, onGap })) {
      view.event(event);
      desk?.event(event);
      // Asking for the next one moves the checkpoint past this one.
      await context.written();
      last = event;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    clearTimeout(offering);
    await desk?.close();
    view.close();
  }
  await conclude(tailing, last, signal);
}

function viewOf({ options, context }: Tailing): TailView {
  if (options.json) return new JsonView(context);
  return context.terminal ? new ScreenView(context, context.terminal) : new TextView(context);
}

function deskOf(
  { client, taskId, options, context }: Tailing,
  view: TailView,
  leave: () => void,
): QuestionDesk | undefined {
  const { terminal } = context;
  if (!terminal || options.json || !options.prompt) return undefined;
  return new QuestionDesk({ client, taskId, view, terminal, leave });
}

/** Where the log is not read from its start, their events may be behind; those that come by themselves are not asked twice. */
function offerOpenQuestions(
  desk: QuestionDesk | undefined,
  questions: readonly OpenSuspensionView[],
  { after, checkpoint }: TailOptions,
): void {
  if (after === undefined && checkpoint === undefined) return;
  for (const question of questions) {
    const { expiresAt = null, uiHints = {}, interaction = {} } = question;
    desk?.offer({ ...question, expiresAt, uiHints, interaction });
  }
}

async function conclude(tailing: Tailing, last: TaskEvent | undefined, signal: AbortSignal): Promise<void> {
  const { client, taskId, context, options } = tailing;
  if (last && isTerminalEvent(last)) return context.conclude(EXIT_OF_EVENT[last.type] ?? EXIT_CODES.completed);
  if (signal.aborted) {
    context.err(`\nThe task goes on. Follow it again with:\n  ${commandToGoOn(tailing, last)}\n`);
    return context.conclude(EXIT_CODES.interrupted);
  }
  // Nothing was left to be read.
  const { status } = await client.getTask(taskId);
  if (!isTerminalStatus(status)) throw new Error('The stream ended before the task did');
  if (!options.json) context.out(`The task has ended: ${status}\n`);
  context.conclude(EXIT_OF_STATUS[status] ?? EXIT_CODES.completed);
}

function commandToGoOn({ taskId, options }: Tailing, last: TaskEvent | undefined): string {
  const { checkpoint, after, json } = options;
  const cursor = last?.eventId ?? after;
  const words = ['taskbridge', 'tail', taskId, ...connectionWords(options)];
  if (checkpoint !== undefined) words.push('--checkpoint', checkpoint);
  else if (cursor !== undefined) words.push('--after', cursor);
  if (json) words.push('--json');
  return shellWords(words);
}
