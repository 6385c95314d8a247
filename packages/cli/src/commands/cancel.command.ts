import type { Command } from 'commander';
import { addConnectionOptions, clientOf, type ConnectionOptions } from '../client-options.js';
import type { CommandContext } from '../command-context.js';
import { taskIdArgument } from '../option-values.js';
import { printableJson } from '../printable.js';

/** `cancel`: says what became of the request; whether the task has ended by it, `tail` tells. */
export function addCancelCommand(program: Command, context: CommandContext): void {
  addConnectionOptions(program.command('cancel').description('Ask a task to stop.'))
    .argument('<taskId>', 'which one', taskIdArgument)
    .option('--reason <text>', 'stored with the task')
    .option('--json', 'one JSON object instead of text')
    .action(async (taskId: string, options: ConnectionOptions & { reason?: string; json?: true }) => {
      const answer = await clientOf(options).cancelTask(taskId, options.reason);
      const text = answer.status === 'ALREADY_TERMINAL' ? 'had ended already' : 'is asked to stop';
      context.out(options.json ? `${printableJson(answer)}\n` : `Task ${answer.taskId} ${text}\n`);
    });
}
