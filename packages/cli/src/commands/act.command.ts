import type { TaskSnapshot } from '@taskbridge/protocol';
import type { Command } from 'commander';
import { answerText } from '../answer-text.js';
import { addConnectionOptions, clientOf, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { EXIT_CODES } from '../exit-codes.js';
import { isRecord } from '../is-record.js';
import { jsonArgument } from '../json-argument.js';
import { openQuestions } from '../open-questions.js';
import { taskIdArgument } from '../option-values.js';
import { printableJson, textOf } from '../printable.js';

interface ActOptions extends ConnectionOptions {
  suspendId?: string;
  payload?: string;
  metadata?: string;
  clientActionId?: string;
  json?: true;
}

const NOTHING_OPEN = 'No question is open: somebody else has answered, the task has ended, or it has not asked yet';

/** `act`: exits `failed` when the answer came too late, or when there is nothing to answer. */
export function addActCommand(program: Command, context: CommandContext): void {
  addConnectionOptions(program.command('act').description('Answer a question of a task.'))
    .argument('<taskId>', 'whose question', taskIdArgument)
    .argument('<action>', 'one of the actions that it allows')
    .option('--suspend-id <id>', 'which question (default: the only open one)')
    .option('--payload <json>', 'what the answer says: JSON, @file or - for standard input')
    .option('--metadata <json>', 'kept with the answer: JSON, @file or -')
    .option('--client-action-id <id>', 'repeats an answer instead of giving another')
    .option('--json', 'one JSON object instead of text')
    .action(async (taskId: string, actionType: string, options: ActOptions) => {
      const client = clientOf(options);
      const payload = await jsonArgument('--payload', options.payload, context);
      const metadata = await jsonArgument('--metadata', options.metadata, context);
      const { clientActionId } = options;
      const suspendId = options.suspendId ?? questionOf(await client.getTask(taskId), clientActionId);
      if (suspendId === undefined) {
        context.err(`error: ${NOTHING_OPEN}\n`);
        return context.conclude(EXIT_CODES.failed);
      }
      const answer = await client.submitAction(taskId, { clientActionId, suspendId, actionType, payload, metadata });
      const text = answerText(answer.status);
      context.out(options.json ? `${printableJson(answer)}\n` : `The answer was ${text}\n`);
      if (answer.status.startsWith('REJECTED')) context.conclude(EXIT_CODES.failed);
    });
}

/** The question that was answered by a repeated answer, or the only open one. */
function questionOf(task: TaskSnapshot, clientActionId: string | undefined): string | undefined {
  const questions = openQuestions(task);
  const given = clientActionId !== undefined && Array.isArray(task.actions) ? task.actions.filter(isRecord) : [];
  const repeated = given.find((action) => action.clientActionId === clientActionId);
  if (repeated) return repeated.suspendId;
  if (questions.length < 2) return questions[0]?.suspendId;
  const ids = questions.map(({ suspendId, reasonCode }) => `${suspendId} (${textOf(reasonCode)})`).join(', ');
  throw new Error(`The task has several open questions, say which with --suspend-id: ${ids}`);
}
