import pg from 'pg';
import { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { runTaskBridgeMigrations } from '../../lib/migrations/index.js';
import { tableNames, type TableNames } from '../../lib/stores/table-names.js';

const STEP = 10_000;

/** A database of one benchmark, with the library's tables. */
export interface BenchDatabase {
  readonly url: string;
  readonly tables: TableNames;
  readonly query: <T extends pg.QueryResultRow>(text: string, values?: unknown[]) => Promise<T[]>;
  /** Running tasks of `ada`, in their first attempt, with an empty log; their ids. */
  readonly tasks: (count: number) => Promise<string[]>;
  readonly drop: () => Promise<void>;
}

/** Makes a fresh database on the server. */
export async function openBenchDatabase(serverUrl: string): Promise<BenchDatabase> {
  const name = `bench_${uuidv7().replaceAll('-', '')}`;
  await onServer(serverUrl, `create database "${name}"`);
  const url = Object.assign(new URL(serverUrl), { pathname: `/${name}` }).href;
  const tables = await migrate(url);
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  pool.on('error', () => undefined);
  const query = async <T extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<T[]> =>
    (await pool.query<T>(text, values)).rows;
  return {
    url,
    tables,
    query,
    tasks: async (count) => {
      const ids = Array.from({ length: count }, () => uuidv7());
      for (let start = 0; start < count; start += STEP) {
        await pool.query(runningTasks(tables), [ids.slice(start, start + STEP)]);
      }
      await pool.query(`analyze ${tables.tasks}`);
      return ids;
    },
    drop: async () => {
      await pool.end();
      await onServer(serverUrl, `drop database if exists "${name}" with (force)`);
    },
  };
}

async function migrate(url: string): Promise<TableNames> {
  const dataSource = new DataSource({ type: 'postgres', url, entities: [...TASKBRIDGE_ENTITIES] });
  await dataSource.initialize();
  try {
    await runTaskBridgeMigrations(dataSource);
    return tableNames(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

function runningTasks(tables: TableNames): string {
  return `insert into ${tables.tasks}
    (task_id, owner_id, client_request_id, request_hash, task_type, input, metadata, status, attempt, submission_state, started_at)
  select id, 'ada', id, '', 'bench', '{}', '{}', 1, 1, 2, now() from unnest($1::uuid[]) as id`;
}

async function onServer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
