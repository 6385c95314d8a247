import { Client, type ClientConfig } from 'pg';
import type { DataSource } from 'typeorm';
import { type RawQueryable, type RawRow, runRaw } from '../stores/raw-query.js';
import { schemaOf, type TableNames, tableNamesIn } from '../stores/table-names.js';

/** What is verified: an app's DataSource, or where to connect with `pg` alone. */
export type VerificationSource = DataSource | ClientConfig;

/** For the transaction: tables that were filled a moment ago have no statistics yet, and would be read whole per batch. */
const PLAN_BY_INDEX = `select set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)`;

/** The one connection of a verification, held from its start to its end. */
export class VerificationConnection {
  private constructor(
    readonly tables: TableNames,
    private readonly client: RawQueryable,
    private readonly release: () => Promise<void>,
  ) {}

  /** Rejects with the driver's error when nobody answers. */
  static async open(source: VerificationSource, schema: string | undefined): Promise<VerificationConnection> {
    if (isDataSource(source)) {
      const runner = source.createQueryRunner('master');
      const client = (await runner.connect()) as RawQueryable;
      return new VerificationConnection(tableNamesIn(schema ?? schemaOf(source)), client, () => runner.release());
    }
    const client = new Client({ application_name: 'taskbridge-verify', ...source });
    // A connection that breaks rejects the statement under way; without a listener it would end the process too.
    client.on('error', () => undefined);
    await client.connect();
    return new VerificationConnection(tableNamesIn(schema), client, () => client.end());
  }

  async rows(text: string, values: unknown[]): Promise<readonly RawRow[]> {
    return (await runRaw(this.client, text, values)).rows;
  }

  /** Everything that `work` reads is of one instant; nothing can be written. */
  async snapshot<T>(work: () => Promise<T>): Promise<T> {
    await this.rows('begin isolation level repeatable read read only', []);
    try {
      await this.rows(PLAN_BY_INDEX, []);
      return await work();
    } finally {
      // Nothing was written; a connection that broke has rejected `work` with the cause already.
      await this.rows('rollback', []).catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.release();
  }
}

function isDataSource(source: VerificationSource): source is DataSource {
  return 'createQueryRunner' in source;
}
