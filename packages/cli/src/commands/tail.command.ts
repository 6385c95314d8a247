import type { Command } from 'commander';
import { addConnectionOptions, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { addTailOptions, tailingClient, type TailOptions } from '../tail/tail-options.js';
import { tailTask } from '../tail/tail-task.js';

/** `tail`: exits as the task ends. */
export function addTailCommand(program: Command, context: CommandContext): void {
  const command = addConnectionOptions(program.command('tail <taskId>').description('Follow a task to its end.'));
  addTailOptions(command).action((taskId: string, options: ConnectionOptions & TailOptions) =>
    tailTask({ client: tailingClient(options), taskId, options, context }),
  );
}
