import type { ReadStream, WriteStream } from 'node:tty';
import type { ExitCode } from './exit-codes.js';

/** Both ends of a terminal that a person sits at. */
export interface Terminal {
  readonly input: ReadStream;
  readonly output: WriteStream;
}

/** What a subcommand may use of the process it runs in. */
export interface CommandContext {
  /** Results, without what a terminal would obey. */
  out(text: string): void;
  /** Resolves when the system has all of them; never after a failure, which ends the process. */
  readonly written: () => Promise<void>;
  /** What went wrong, for people; as safe. */
  err(text: string): void;
  /** `undefined` where either end is a file or a pipe. */
  readonly terminal: Terminal | undefined;
  /** All of the process's standard input. */
  readonly readInput: () => Promise<string>;
  /** Aborted by Ctrl-C or a request to end; until it is asked for, these end the process. A second one still does. */
  interruption(): AbortController;
  /** Sets how the process exits once the subcommand has returned; without it, `completed`. */
  conclude(code: ExitCode): void;
}
