import { createHash } from 'node:crypto';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { createDirectClient } from '../stores/direct-client.js';
import { schemaOf } from '../stores/table-names.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';

/** The schema that unqualified names resolve to. */
const CURRENT_SCHEMA = 'select current_schema() as name';

/** A server that leaves a statement unanswered for this long is given up, in ms: its connection may be half dead. */
const ANSWER_TIMEOUT_MS = 10_000;

/** Where the processes of one set of tables meet: a channel named after their schema, on connections of their own. */
export class NotifyChannel {
  constructor(
    private readonly dataSource: DataSource,
    private readonly direct: TaskBridgeSettings['direct'],
  ) {}

  createClient(role: string): pg.Client {
    const limits = { query_timeout: ANSWER_TIMEOUT_MS };
    return createDirectClient(this.dataSource, this.direct, `taskbridge ${role}`, limits);
  }

  /** A hash, because a schema's name may be longer than a channel's. */
  async nameFor(client: pg.Client): Promise<string> {
    const schema = schemaOf(this.dataSource) ?? (await currentSchema(client));
    return `taskbridge_${createHash('sha256').update(schema).digest('hex').slice(0, 16)}`;
  }
}

async function currentSchema(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ name: string | null }>(CURRENT_SCHEMA);
  return rows[0]?.name ?? '';
}
