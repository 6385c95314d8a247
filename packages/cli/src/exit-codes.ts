/**
 * What the command's exit says, the same for every subcommand: the task, or the check, ended well; it failed, or
 * something was found, or an answer came too late; it was cancelled; the command was called wrongly or could not reach
 * what it needs. Of its own: somebody pressed Ctrl-C, and the task goes on; and whoever read the output has gone, which
 * ends other programs with the same code.
 */
export const EXIT_CODES = {
  completed: 0,
  failed: 1,
  cancelled: 2,
  unusable: 3,
  interrupted: 130,
  unread: 141,
} as const;

/** One of {@link EXIT_CODES}. */
export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];
