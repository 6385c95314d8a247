import type { Command } from 'commander';
import { addConnectionOptions, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { taskIdArgument } from '../option-values.js';
import { OutageNotes } from '../tail/outage-notes.js';
import { addTailOptions, tailingClient, type TailOptions } from '../tail/tail-options.js';
import { tailTask } from '../tail/tail-task.js';

/** `tail`: exits as the task ends. */
export function addTailCommand(program: Command, context: CommandContext): void {
  const command = addConnectionOptions(program.command('tail').description('Follow a task to its end.'));
  addTailOptions(command.argument('<taskId>', 'which one', taskIdArgument)).action(
    (taskId: string, options: ConnectionOptions & TailOptions) => {
      const outages = new OutageNotes((text) => context.err(`${text}\n`));
      return tailTask({ client: tailingClient(options, context, outages), outages, taskId, options, context });
    },
  );
}
