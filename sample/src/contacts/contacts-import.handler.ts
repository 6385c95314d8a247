import {
  TaskHandler,
  type TaskAnswer,
  type TaskContext,
  type TaskRunner,
  type WaitingOutcome,
} from '@taskbridge/nestjs';
import { readContactRows } from './contact-rows.js';
import { badRowOf, questionAbout, SHOWN_BAD_ROWS, type BadRow, type RowCounts } from './contacts-question.js';
import { ContactsWriter } from './contacts.writer.js';
import { ProgressSteps } from './progress-steps.js';

/** The task's result. */
export interface ImportResult {
  imported: number;
  skipped: number;
  total: number;
}

/**
 * Imports a CSV file of contacts: checks every row, asks a person when some are bad, then writes the good ones. Each run
 * reads the file anew, so nothing but two counts has to survive the wait for the answer.
 */
@TaskHandler('contacts.import', { concurrency: 4 })
export class ContactsImportHandler implements TaskRunner {
  constructor(private readonly writer: ContactsWriter) {}

  async run(task: TaskContext): Promise<ImportResult | WaitingOutcome> {
    const { counts, badRows } = await validate(task);
    return counts.invalid === 0 ? this.import(task, counts) : task.suspend(questionAbout(counts, badRows));
  }

  async resume(task: TaskContext, answer: TaskAnswer): Promise<ImportResult> {
    const counts = answer.state as RowCounts;
    if (answer.actionType === 'import_valid') return this.import(task, counts);
    const total = counts.valid + counts.invalid;
    return { imported: 0, skipped: total, total };
  }

  private async import(task: TaskContext, { valid, invalid }: RowCounts): Promise<ImportResult> {
    await this.writer.writeValidRows(task);
    return { imported: valid, skipped: invalid, total: valid + invalid };
  }
}

async function validate(task: TaskContext): Promise<{ counts: RowCounts; badRows: BadRow[] }> {
  const progress = new ProgressSteps(task, { stage: 'validating', from: 0, to: 50 });
  const counts = { valid: 0, invalid: 0 };
  const badRows: BadRow[] = [];
  for await (const row of readContactRows(task)) {
    const badRow = badRowOf(row);
    counts[badRow === undefined ? 'valid' : 'invalid']++;
    if (badRow !== undefined && badRows.length < SHOWN_BAD_ROWS) badRows.push(badRow);
    await progress.reach(row.position);
  }
  return { counts, badRows };
}
