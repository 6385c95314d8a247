import { addAbortSignal, pipeline } from 'node:stream';
import type { TaskAttachment, TaskContext } from '@taskbridge/nestjs';
import { parse, type Info } from 'csv-parse';
import { CONTACT_COLUMNS, findProblem, type ContactFields, type ContactProblem } from './contact-checks.js';

export interface ContactRow {
  /** Line of the file on which the row ends; the header is line 1. */
  line: number;
  fields: ContactFields;
  problem: ContactProblem | undefined;
  /** How much of the file has been read, from 0 to 1. */
  position: number;
}

interface ParsedRow {
  record: Partial<ContactFields>;
  info: Info;
}

/** A quote that is never closed would otherwise swallow the rest of the file as one value. */
const LONGEST_ROW = 64 * 1024;

/**
 * Reads the task's file row by row without holding it in memory, from the start at each call. Throws where the file is
 * not CSV or lacks a column, and with an `AbortError` when the run is told to stop.
 */
export async function* readContactRows(task: TaskContext): AsyncGenerator<ContactRow> {
  const file = onlyAttachment(task);
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    relax_column_count: true,
    info: true,
    max_record_size: LONGEST_ROW,
    columns: readHeader,
  });
  // The loop below throws whatever goes wrong with the file or the parser.
  pipeline(addAbortSignal(task.signal, file.open()), parser, () => undefined);
  for await (const { record, info } of parser as AsyncIterable<ParsedRow>) {
    const { name = '', email = '', phone = '', company = '' } = record;
    const fields = { name, email, phone, company };
    yield {
      line: info.lines,
      fields,
      problem: findProblem(fields),
      position: Math.min(1, info.bytes / file.sizeBytes),
    };
  }
}

function onlyAttachment(task: TaskContext): TaskAttachment {
  const [file, ...more] = task.attachments;
  if (file === undefined) throw new Error('Attach the CSV file to the task: a multipart create with one attachment');
  if (more.length > 0) throw new Error(`One CSV file is imported at a time, but ${more.length + 1} were attached`);
  if (file.sizeBytes === 0) throw new Error(`${file.name} is empty`);
  return file;
}

function readHeader(header: string[]): string[] {
  const columns = header.map((column) => column.toLowerCase());
  const missing = CONTACT_COLUMNS.filter((column) => !columns.includes(column));
  if (missing.length === 0) return columns;
  throw new Error(
    `The first line has to name the columns ${CONTACT_COLUMNS.join(', ')}; missing: ${missing.join(', ')}`,
  );
}
