import { Command, CommanderError } from 'commander';
import { secretsOf } from './client-options.js';
import type { CommandContext } from './command-context.js';
import { addActCommand } from './commands/act.command.js';
import { addCancelCommand } from './commands/cancel.command.js';
import { addCreateCommand } from './commands/create.command.js';
import { addLsCommand } from './commands/ls.command.js';
import { addTailCommand } from './commands/tail.command.js';
import { addVerifyCommand } from './commands/verify.command.js';
import { describeError } from './describe-error.js';
import { EXIT_CODES, type ExitCode } from './exit-codes.js';
import { printable } from './printable.js';
import { VERSION } from './version.js';

const COMMANDS = [addCreateCommand, addTailCommand, addLsCommand, addActCommand, addCancelCommand, addVerifyCommand];

const EXITS = `
Exits 0 when the task completed, 1 when it failed or an answer came too late, 2 when it was cancelled, 3 when the
command was called wrongly or could not connect, 130 after Ctrl-C, and 141 when nobody reads its output any more.`;

/** Runs one command line, without the program's name, and resolves with its exit code. It never throws. */
export async function run(args: readonly string[], process: Omit<CommandContext, 'conclude'>): Promise<ExitCode> {
  let concluded: ExitCode = EXIT_CODES.completed;
  const secrets: string[] = [];
  const context: CommandContext = {
    ...process,
    out: (text) => process.out(printable(text)),
    err: (text) => process.err(printable(secrets.reduce((shown, secret) => shown.replaceAll(secret, '…'), text))),
    conclude: (code) => (concluded = code),
  };
  const program = createProgram(context);
  program.hook('preAction', (_, command) => void secrets.push(...secretsOf(command.opts())));
  try {
    await program.parseAsync(args, { from: 'user' });
    return concluded;
  } catch (error) {
    // Help and the version end the same way as refusals, which have been written by then.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.completed : EXIT_CODES.unusable;
    context.err(`error: ${describeError(error)}\n`);
    return EXIT_CODES.unusable;
  }
}

/** A misspelt `--token=…` is repeated without what follows. */
function withoutValue(refusal: string): string {
  return refusal.replace(/^(error: unknown option '[^'=]*)=[\s\S]*'/, "$1'");
}

function createProgram(context: CommandContext): Command {
  const program = new Command('taskbridge')
    .description('Works with the tasks of a TaskBridge app.')
    .version(VERSION)
    .addHelpText('after', EXITS)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out(text),
      writeErr: (text) => context.err(text),
      outputError: (text, write) => write(withoutValue(text)),
    });
  for (const add of COMMANDS) add(program, context);
  return program;
}
