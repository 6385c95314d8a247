import type { ExitCode } from './exit-codes.js';

/** What a subcommand may use of the process it runs in. */
export interface CommandContext {
  /** Results, as they are. */
  out(text: string): void;
  /** What went wrong, for people. */
  err(text: string): void;
  /** Sets how the process exits once the subcommand has returned; without it, `completed`. */
  conclude(code: ExitCode): void;
}
