import type { TaskBridgeClient } from '@taskbridge/client';
import type { TaskClientActionStatus } from '@taskbridge/protocol';
import type { Command } from 'commander';
import { addConnectionOptions, clientOf, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { EXIT_CODES } from '../exit-codes.js';
import { jsonArgument } from '../json-argument.js';
import { taskIdArgument } from '../option-values.js';
import { printableJson } from '../printable.js';

interface ActOptions extends ConnectionOptions {
  suspendId?: string;
  payload?: string;
  metadata?: string;
  clientActionId?: string;
  json?: true;
}

/** In words, what has become of an answer. */
export const ANSWER_TEXTS: Readonly<Record<TaskClientActionStatus, string>> = {
  ACCEPTED: 'accepted',
  DEDUPLICATED: 'accepted before',
  REJECTED_ALREADY_RESOLVED: 'too late: somebody else has answered, or the task has ended',
  REJECTED_EXPIRED: 'too late: the question has expired',
};

/** `act`: exits `failed` when the answer came too late. */
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
      const suspendId = options.suspendId ?? (await onlyQuestion(client, taskId));
      const answer = await client.submitAction(taskId, { clientActionId, suspendId, actionType, payload, metadata });
      context.out(options.json ? `${printableJson(answer)}\n` : `The answer was ${ANSWER_TEXTS[answer.status]}\n`);
      if (answer.status.startsWith('REJECTED')) context.conclude(EXIT_CODES.failed);
    });
}

async function onlyQuestion(client: TaskBridgeClient, taskId: string): Promise<string> {
  const { openSuspensions } = await client.getTask(taskId);
  const [first, ...others] = openSuspensions;
  if (!first) throw new Error('The task has no open question');
  if (others.length === 0) return first.suspendId;
  const ids = openSuspensions.map(({ suspendId, reasonCode }) => `${suspendId} (${reasonCode})`).join(', ');
  throw new Error(`The task has several open questions, say which with --suspend-id: ${ids}`);
}
