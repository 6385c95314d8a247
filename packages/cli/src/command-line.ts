import { Command, CommanderError } from 'commander';
import type { CommandContext } from './command-context.js';
import { addVerifyCommand } from './commands/verify.command.js';
import { describeError } from './describe-error.js';
import { EXIT_CODES, type ExitCode } from './exit-codes.js';
import { VERSION } from './version.js';

const COMMANDS = [addVerifyCommand];

/** Runs one command line, without the program's name, and resolves with its exit code. It never throws. */
export async function run(args: readonly string[], output: Pick<CommandContext, 'out' | 'err'>): Promise<ExitCode> {
  let concluded: ExitCode = EXIT_CODES.completed;
  const context: CommandContext = { ...output, conclude: (code) => (concluded = code) };
  try {
    await createProgram(context).parseAsync(args, { from: 'user' });
    return concluded;
  } catch (error) {
    // Help and the version end the same way as refusals, which have been written by then.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.completed : EXIT_CODES.unusable;
    output.err(`error: ${describeError(error)}\n`);
    return EXIT_CODES.unusable;
  }
}

function createProgram(context: CommandContext): Command {
  const program = new Command('taskbridge')
    .description('Works with the tasks of a TaskBridge app.')
    .version(VERSION)
    .exitOverride()
    .configureOutput({ writeOut: (text) => context.out(text), writeErr: (text) => context.err(text) });
  for (const add of COMMANDS) add(program, context);
  return program;
}
