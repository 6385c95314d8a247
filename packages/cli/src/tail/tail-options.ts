import type { Diagnostic, TaskBridgeClient } from '@taskbridge/client';
import { FileStore } from '@taskbridge/client/node';
import { EVENT_ID_PATTERN } from '@taskbridge/protocol';
import { type Command, InvalidArgumentError } from 'commander';
import { clientOf, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { describeError } from '../describe-error.js';
import { positiveInteger } from '../option-values.js';
import type { OutageNotes } from './outage-notes.js';

/** How a task is followed. */
export interface TailOptions {
  after?: string;
  checkpoint?: string;
  giveUpAfter?: number;
  prompt: boolean;
  json?: true;
}

const DEFAULT_FAILURES = 20;

/** Adds them to a subcommand. */
export function addTailOptions(command: Command): Command {
  return command
    .option('--after <eventId>', 'begin after this event', eventId)
    .option('--checkpoint <folder>', 'remember there how far it has come, and go on from there')
    .option(
      '--give-up-after <n>',
      `failures in a row until it gives up (default: ${DEFAULT_FAILURES} of all ways to connect, 5 of a request)`,
      positiveInteger,
    )
    .option('--no-prompt', 'only show questions')
    .option('--json', 'each event as a line of JSON');
}

/** A client that remembers where the options say so, tells of outages, and gives up in the end. */
export function tailingClient(
  options: ConnectionOptions & TailOptions,
  context: CommandContext,
  outages: OutageNotes,
): TaskBridgeClient {
  const { checkpoint, giveUpAfter, url } = options;
  const tellStoreFailure = storeFailures(context);
  return clientOf(options, {
    recovery: { maxFailures: giveUpAfter ?? DEFAULT_FAILURES },
    commandAttempts: giveUpAfter,
    diagnostics: (diagnostic) => {
      tellStoreFailure(diagnostic);
      outages.listen(diagnostic);
    },
    ...(checkpoint !== undefined && { store: new FileStore(checkpoint), namespace: `taskbridge@${url}` }),
  });
}

/** Tells once that the command will not go on by itself. */
function storeFailures(context: CommandContext): (diagnostic: Diagnostic) => void {
  let isTold = false;
  return (diagnostic) => {
    if (diagnostic.kind !== 'store-failure' || isTold) return;
    isTold = true;
    context.err(`The checkpoint cannot be kept: ${describeError(diagnostic.error)}\n`);
  };
}

function eventId(text: string): string {
  if (EVENT_ID_PATTERN.test(text)) return text;
  throw new InvalidArgumentError('It must be an event id such as 12-0.');
}
