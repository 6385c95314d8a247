import type { SuspensionRequest } from '@taskbridge/nestjs';
import type { ContactRow } from './contact-rows.js';

/** What the validation has found; travels to the run that resumes. */
export interface RowCounts {
  valid: number;
  invalid: number;
}

export interface BadRow {
  line: number;
  column: string;
  value: string;
  problem: string;
}

/** An event is limited to 64 KiB, so the question shows the first bad rows and counts the others. */
export const SHOWN_BAD_ROWS = 50;

const SHOWN_CHARACTERS = 80;
const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

const ACTION_SCHEMAS = {
  import_valid: { type: 'object', additionalProperties: false },
  reject: { type: 'object', properties: { reason: { type: 'string', maxLength: 500 } }, additionalProperties: false },
};

/** Asks what to do with a file of which some rows are bad. Without an answer the import fails after a week. */
export function questionAbout(counts: RowCounts, badRows: readonly BadRow[]): SuspensionRequest {
  return {
    reasonCode: 'BAD_ROWS',
    allowedActions: ['import_valid', 'reject'],
    actionSchemas: ACTION_SCHEMAS,
    expiresInMs: WEEK_MS,
    uiHints: { title: 'Some rows cannot be imported' },
    interaction: { ...counts, badRows },
    state: counts,
  };
}

/** `undefined` for a good row. */
export function badRowOf({ line, fields, problem }: ContactRow): BadRow | undefined {
  if (problem === undefined) return undefined;
  const { column } = problem;
  return {
    line,
    column,
    value: Array.from(fields[column]).slice(0, SHOWN_CHARACTERS).join(''),
    problem: problem.problem,
  };
}
