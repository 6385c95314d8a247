import { createInterface } from 'node:readline/promises';
import type { TaskCompletedPayload, TaskProgressPayload, TaskSuspendedPayload } from '@taskbridge/protocol';
import { Presets, SingleBar } from 'cli-progress';
import type { ImportResult } from '../contacts/contacts-import.handler.js';
import type { BadRow, RowCounts } from '../contacts/contacts-question.js';

const SHOWN_BAD_ROWS = 10;

/** A progress bar on a terminal, otherwise a line every ten percent. */
export class ProgressDisplay {
  private bar: SingleBar | undefined;
  private nextLine = 0;

  show({ progress, stage = '' }: TaskProgressPayload): void {
    if (!process.stdout.isTTY) return this.print(progress, stage);
    this.bar ??= this.startBar(Math.round(progress), stage);
    this.bar.update(Math.round(progress), { stage });
  }

  /** Leaves the bar as it is and gives the line back; the next `show` begins a new one. */
  pause(): void {
    this.bar?.stop();
    this.bar = undefined;
  }

  private startBar(progress: number, stage: string): SingleBar {
    const bar = new SingleBar(
      { format: '{bar} {percentage} % {stage}', barsize: 40, hideCursor: true },
      Presets.shades_classic,
    );
    bar.start(100, progress, { stage });
    return bar;
  }

  private print(progress: number, stage: string): void {
    if (progress < this.nextLine) return;
    this.nextLine = Math.floor(progress / 10) * 10 + 10;
    console.log(`${String(Math.round(progress)).padStart(3)} % ${stage}`);
  }
}

export function printQuestion({ interaction }: TaskSuspendedPayload): void {
  const { valid, invalid, badRows } = interaction as unknown as RowCounts & { badRows: BadRow[] };
  console.log(`\n${invalid} of ${valid + invalid} rows cannot be imported:`);
  for (const { line, column, value, problem } of badRows.slice(0, SHOWN_BAD_ROWS)) {
    console.log(`  line ${String(line).padEnd(6)}${column.padEnd(8)}${problem}${value && `: ${value}`}`);
  }
  if (invalid > SHOWN_BAD_ROWS) console.log(`  and ${invalid - SHOWN_BAD_ROWS} more`);
}

/** Yes by default. Throws when nobody is there to answer, and when the person presses Ctrl-C. */
export async function askPerson(question: string, interrupted: AbortController): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const nobody = new Promise<never>((_, reject) => {
    terminal.once('close', () => reject(new Error('Nobody answered the question; --yes answers it')));
  });
  terminal.once('SIGINT', () => interrupted.abort());
  try {
    for (;;) {
      const asked = terminal.question(`${question} [Y/n] `, { signal: interrupted.signal });
      const answer = (await Promise.race([asked, nobody])).trim().toLowerCase();
      if (['', 'y', 'yes'].includes(answer)) return true;
      if (['n', 'no'].includes(answer)) return false;
    }
  } finally {
    nobody.catch(() => undefined);
    terminal.close();
  }
}

export function printResult({ result }: TaskCompletedPayload): void {
  const { imported, skipped, total } = result as ImportResult;
  console.log(`\nImported ${imported} contacts, skipped ${skipped}, of ${total} rows.`);
}
