import type { DataSource } from 'typeorm';

/** The qualified, quoted names of the library's tables in one DataSource's schema. */
export interface TableNames {
  readonly tasks: string;
  readonly events: string;
  readonly suspensions: string;
  readonly receipts: string;
  readonly processes: string;
  readonly attachments: string;
  readonly attachmentChunks: string;
  readonly streamTickets: string;
}

/** The names in the DataSource's schema. */
export function tableNames(dataSource: DataSource): TableNames {
  return tableNamesIn(schemaOf(dataSource));
}

/** Unqualified without a schema, so that the connection's `search_path` decides. */
export function tableNamesIn(schema: string | undefined): TableNames {
  const prefix = schema === undefined ? '' : `"${schema.replaceAll('"', '""')}".`;
  const named = (name: string) => `${prefix}"taskbridge_${name}"`;
  return {
    tasks: named('tasks'),
    events: named('events'),
    suspensions: named('suspensions'),
    receipts: named('receipts'),
    processes: named('processes'),
    attachments: named('attachments'),
    attachmentChunks: named('attachment_chunks'),
    streamTickets: named('stream_tickets'),
  };
}

/** The schema option of a Postgres DataSource, or `undefined` for the connection's default. */
export function schemaOf(dataSource: DataSource): string | undefined {
  const options = dataSource.options;
  return 'schema' in options && typeof options.schema === 'string' && options.schema !== ''
    ? options.schema
    : undefined;
}
