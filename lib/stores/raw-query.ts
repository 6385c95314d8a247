import { createHash } from 'node:crypto';
import type { DataSource, EntityManager } from 'typeorm';
import { PoolWork, poolWork } from './pool-work.js';

/** One result row, in the order of the select list. */
export type RawRow = readonly unknown[];

/** A statement as `pg` takes it. */
export interface RawQuery {
  text: string;
  values: unknown[];
  rowMode: 'array';
  types: { getTypeParser(oid: number): (text: string) => unknown };
  name?: string;
}

export interface RawResult {
  rows: RawRow[];
  rowCount: number | null;
}

/** What a pool and a checked-out connection of `pg` have in common. */
export interface RawQueryable {
  query(query: RawQuery): Promise<RawResult>;
}

const OID = { bool: 16, int8: 20, int2: 21, int4: 23, json: 114, float8: 701 } as const;

const parsers = new Map<number, (text: string) => unknown>([
  [OID.bool, (text) => text === 't'],
  [OID.int2, Number],
  [OID.int4, Number],
  [OID.int8, Number],
  [OID.float8, Number],
]);

const asText = (text: string): string => text;

/**
 * Numbers and booleans as such, everything else as the server's text: `json` too, because most of it is handed on
 * unparsed. Given with each query, so that type parsers the host sets for the whole of `pg` change nothing here.
 */
const types = { getTypeParser: (oid: number) => parsers.get(oid) ?? asText };

/** A manager's own connection when it has one, else the DataSource's pool; always the primary. */
export async function rawRows(source: DataSource | EntityManager, text: string, values: unknown[]): Promise<RawRow[]> {
  return (await runRaw(await connectionOf(source), text, values)).rows;
}

/**
 * The same, prepared once per connection, which spares the server more than half of a short statement's time. Only for
 * inserts: the plan is kept too, and one that was made while a table was small goes on scanning it when it has grown. In a
 * transaction of the caller's, and behind a pooler, it is sent as text.
 */
export async function preparedRows(
  source: DataSource | EntityManager,
  text: string,
  values: unknown[],
): Promise<RawRow[]> {
  const connection = await connectionOf(source);
  const name = connection instanceof PoolWork ? statementName(text) : undefined;
  return (await runRaw(connection, text, values, name)).rows;
}

/** Number of rows that a statement without result rows has touched. */
export async function rawCount(source: DataSource | EntityManager, text: string, values: unknown[]): Promise<number> {
  return (await runRaw(await connectionOf(source), text, values)).rowCount ?? 0;
}

/** The same on a connection of the caller's; `name` makes it a prepared statement there. */
export function runRaw(connection: RawQueryable, text: string, values: unknown[], name?: string): Promise<RawResult> {
  const query: RawQuery = { text, values, rowMode: 'array', types };
  if (name !== undefined) query.name = name;
  return connection.query(query);
}

/** SQL for a `timestamptz` as whole epoch milliseconds: independent of the session's DateStyle and time zone. */
export function epochMs(expression: string): string {
  return `floor(extract(epoch from ${expression}) * 1000)::bigint`;
}

/** Reads a column selected by `epochMs`. */
export function dateOrNull(ms: unknown): Date | null {
  return typeof ms === 'number' ? new Date(ms) : null;
}

const names = new Map<string, string>();

/** Told from its text, because a connection keeps a name for good. */
function statementName(text: string): string {
  const known = names.get(text) ?? `taskbridge_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  names.set(text, known);
  return known;
}

async function connectionOf(source: DataSource | EntityManager): Promise<RawQueryable> {
  if ('queryRunner' in source && source.queryRunner !== undefined) {
    return (await source.queryRunner.connect()) as RawQueryable;
  }
  const dataSource = 'dataSource' in source ? source.dataSource : source;
  return poolWork(dataSource);
}
