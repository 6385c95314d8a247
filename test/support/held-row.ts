import pg from 'pg';

/** A task's row that a transaction of somebody else holds. */
export interface HeldRow {
  /** Ends that transaction. Idempotent. */
  release(): Promise<void>;
}

/** Holds the row on a connection of its own. */
export async function holdRow(url: string, taskId: string): Promise<HeldRow> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('begin');
  await client.query('select 1 from taskbridge_tasks where task_id = $1 for update', [taskId]);
  let released: Promise<void> | undefined;
  return { release: () => (released ??= client.end()) };
}
