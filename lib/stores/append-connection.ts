import { Logger } from '@nestjs/common';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { type AppendVerdict, type PreparedAppend, verdictsOf } from './append-command.js';
import {
  type AppendMode,
  appendStatement,
  freeTasksStatement,
  lockTasksStatement,
  plainAppendStatement,
  singleAppendStatement,
} from './append.sql.js';
import { createDirectClient, endClient, isPooled } from './direct-client.js';
import { keepsSession } from './outage.js';
import { type RawRow, runRaw } from './raw-query.js';
import { tableNames } from './table-names.js';

/** A server that has not answered for this long is given up, in ms; the statement is sent again elsewhere. */
const ANSWER_TIMEOUT_MS = 10_000;

/**
 * A `statement_timeout` of the host's that is shorter than the wait for a row would end a whole flush because of one
 * row. Another default isolation would turn every lock wait into a serialization failure. A plan that was cached while the
 * tables were small must not go on scanning them when they have grown, nor look for each row of a flush among all of its
 * ids because one row was expected: that halved the rate of large flushes.
 */
const SET_UP = `select set_config('lock_timeout', $1, $2), set_config('statement_timeout', '${ANSWER_TIMEOUT_MS}', $2),
  set_config('default_transaction_isolation', 'read committed', $2), set_config('enable_seqscan', 'off', $2),
  set_config('enable_nestloop', 'off', $2),
  set_config('plan_cache_mode', 'force_generic_plan', $2), set_config('jit', 'off', $2)`;

/** `plain`: every append of the flush is. */
export type SentMode = AppendMode | 'plain';

/**
 * The lane's one connection, made when it is first needed and made anew after it was lost. Behind a pooler each append
 * is a transaction that sets itself up and prepares nothing, at four round trips instead of one.
 */
export class AppendConnection {
  private readonly logger = new Logger('AppendLane');
  private readonly statements: Record<SentMode | 'single', string>;
  private readonly lockTasks: string;
  private readonly freeTasks: string;
  private client: pg.Client | undefined;
  private pooled = false;
  private giveUp: (cause: Error) => void = () => undefined;
  private abandoned = false;
  private readonly abandonment = new Promise<never>((_, reject) => (this.giveUp = reject));

  constructor(
    private readonly dataSource: DataSource,
    private readonly settings: TaskBridgeSettings,
  ) {
    const tables = tableNames(dataSource);
    this.statements = {
      single: singleAppendStatement(tables),
      plain: plainAppendStatement(tables),
      wait: appendStatement(tables, 'wait'),
      skip: appendStatement(tables, 'skip'),
    };
    this.lockTasks = lockTasksStatement(tables);
    this.freeTasks = freeTasksStatement(tables);
    this.abandonment.catch(() => undefined);
  }

  get isAbandoned(): boolean {
    return this.abandoned;
  }

  /** One statement, one commit. In `plain` mode there is no verdict for what needs a closer look: send that again. */
  async append(appends: readonly PreparedAppend[], mode: SentMode): Promise<AppendVerdict[]> {
    const client = await this.connected();
    const send = () => this.send(client, appends, mode);
    return this.pooled ? this.inTransaction(client, send) : send();
  }

  /** Locks the tasks first, so that the append judges by a snapshot that is certainly not stale. */
  async appendLocked(appends: readonly PreparedAppend[]): Promise<AppendVerdict[]> {
    const client = await this.connected();
    return this.inTransaction(client, async () => {
      await this.run(client, this.lockTasks, [[...new Set(appends.map(({ taskId }) => taskId))]]);
      return this.send(client, appends, 'wait');
    });
  }

  /** Those of the tasks that an append would not wait for right now. */
  async freeAmong(taskIds: readonly string[]): Promise<string[]> {
    const rows = await this.run(await this.connected(), this.freeTasks, [taskIds]);
    return rows.map(([taskId]) => String(taskId));
  }

  /** Ends whatever waits for the server now, and every later call: they reject. */
  abandon(): void {
    this.abandoned = true;
    this.giveUp(new Error('The process stops'));
    if (this.client !== undefined) this.drop(this.client);
  }

  async close(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client !== undefined) await endClient(client);
  }

  private send(client: pg.Client, appends: readonly PreparedAppend[], mode: SentMode): Promise<AppendVerdict[]> {
    const [only] = appends;
    if (mode !== 'plain' || appends.length > 1 || only === undefined) {
      return this.judge(client, mode, [parameterOf(appends)]);
    }
    return this.judge(client, 'single', [only.taskId, only.attempt, only.appendNo, only.typeCode, only.payloadJson]);
  }

  private async judge(client: pg.Client, form: SentMode | 'single', values: unknown[]): Promise<AppendVerdict[]> {
    const name = this.pooled ? undefined : `taskbridge_append_${form}`;
    return verdictsOf(await this.run(client, this.statements[form], values, name));
  }

  private async inTransaction<T>(client: pg.Client, work: () => Promise<T>): Promise<T> {
    await this.run(client, 'begin isolation level read committed', []);
    try {
      if (this.pooled) await this.run(client, SET_UP, this.setUpValues(true));
      const result = await work();
      await this.run(client, 'commit', []);
      return result;
    } catch (error) {
      if (this.client === client) await this.run(client, 'rollback', []);
      throw error;
    }
  }

  private async run(client: pg.Client, text: string, values: unknown[], name?: string): Promise<RawRow[]> {
    try {
      return (await runRaw(client, text, values, name)).rows;
    } catch (error) {
      if (!keepsSession(error)) this.drop(client);
      throw error;
    }
  }

  private async connected(): Promise<pg.Client> {
    if (this.abandoned) return this.abandonment;
    if (this.client !== undefined) return this.client;
    const { direct, instanceName } = this.settings;
    const client = createDirectClient(this.dataSource, direct, `taskbridge-append ${instanceName}`, {
      query_timeout: ANSWER_TIMEOUT_MS,
    });
    client.on('error', (error) => this.lost(client, error));
    client.on('end', () => this.drop(client));
    try {
      await Promise.race([client.connect(), this.abandonment]);
    } catch (error) {
      void endClient(client);
      throw error;
    }
    this.client = client;
    try {
      await this.setUp(client);
    } catch (error) {
      this.drop(client);
      throw error;
    }
    return client;
  }

  private async setUp(client: pg.Client): Promise<void> {
    const pooled = await isPooled(client);
    if (pooled && !this.pooled) {
      this.logger.warn('A pooler stands before the database: appends are slower. Give them a connection with `direct`');
    }
    this.pooled = pooled;
    if (!pooled) await client.query(SET_UP, this.setUpValues(false));
  }

  private setUpValues(isLocal: boolean): unknown[] {
    return [String(this.settings.append.lockTimeoutMs), isLocal];
  }

  private lost(client: pg.Client, error: unknown): void {
    if (this.client === client)
      this.logger.warn({ message: 'The append connection was lost', reason: messageOf(error) });
    this.drop(client);
  }

  /** Ending a client whose query has no answer destroys its socket. */
  private drop(client: pg.Client): void {
    if (this.client !== client) return;
    this.client = undefined;
    client
      .end()
      .catch((error: unknown) => this.logger.debug({ message: 'Ending it failed', reason: messageOf(error) }));
  }
}

function parameterOf(appends: readonly PreparedAppend[]): string {
  let text = '[';
  for (const { record } of appends) text += text.length === 1 ? record : `,${record}`;
  return `${text}]`;
}
