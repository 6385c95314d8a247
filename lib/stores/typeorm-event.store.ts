import { Inject, Injectable } from '@nestjs/common';
import { isTerminalEventType, TASK_EVENT_TYPES, type TaskEventType } from '@taskbridge/protocol';
import type { DataSource, EntityManager } from 'typeorm';
import { validate as isUuid } from 'uuid';
import { MetricsSink } from '../observability/metrics-sink.js';
import { WakeUps } from '../streams/wake-ups.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_DATA_SOURCE, TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { AfterCommit } from './after-commit.js';
import {
  appendRefusal,
  appendResult,
  type AppendVerdict,
  prepareAppend,
  type PreparedAppend,
  verdictsOf,
} from './append-command.js';
import { AppendLane } from './append-lane.js';
import { appendStatement } from './append.sql.js';
import {
  type AppendCommand,
  type AppendResult,
  EventStore,
  type StoreOptions,
  type WaitOptions,
} from './event.store.js';
import { LogWaiters } from './log-waiters.js';
import { LogMailbox } from './log-mailbox.js';
import { epochMs, rawRows } from './raw-query.js';
import type { LogEvent } from './records.js';
import { tableNames } from './table-names.js';
import { isInTransaction } from './transactions.js';

/** The log in Postgres: appends through the lane or in the caller's transaction, reads from the primary. */
@Injectable()
export class TypeOrmEventStore extends EventStore {
  private readonly waiters: LogWaiters;
  private readonly appendSql: string;
  private readonly listSql: string;
  private readonly statusSql: string;
  private readonly lastSeqsSql: string;

  constructor(
    @Inject(TASKBRIDGE_DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
    private readonly lane: AppendLane,
    private readonly afterCommit: AfterCommit,
    private readonly wakeUps: WakeUps,
    private readonly metrics: MetricsSink,
  ) {
    super();
    const t = tableNames(dataSource);
    this.waiters = new LogWaiters(wakeUps);
    this.appendSql = appendStatement(t, 'wait');
    // A page of one task's log.
    this.listSql = `select e.seq, e.type, ${epochMs('e.created_at')}, e.payload from ${t.events} e
where e.task_id = $1 and e.seq > $2 order by e.seq limit $3`;
    // Whether anything may still be appended.
    this.statusSql = `select t.status < 2 from ${t.tasks} t where t.task_id = $1`;
    // Where each of several logs ends.
    this.lastSeqsSql = `select t.task_id, t.last_seq from ${t.tasks} t where t.task_id = any ($1::uuid[])`;
  }

  append<T extends TaskEventType>(command: AppendCommand<T>, options: StoreOptions = {}): Promise<AppendResult> {
    return isInTransaction(options.manager) ? this.appendEnlisted(command, options.manager) : this.lane.append(command);
  }

  async listAfter(taskId: string, afterSeq: number, limit: number): Promise<LogEvent[]> {
    if (!isUuid(taskId)) return [];
    const rows = await rawRows(this.dataSource, this.listSql, [taskId, afterSeq, limit]);
    return rows.map((row) => {
      const [seq, code, createdMs, payloadJson] = row as [number, number, number, string];
      const type = TASK_EVENT_TYPES[code];
      return { taskId, seq, type, createdAt: new Date(createdMs).toISOString(), payloadJson };
    });
  }

  async waitAfter(taskId: string, afterSeq: number, options: WaitOptions): Promise<LogEvent[]> {
    const { limit, timeoutMs, signal } = options;
    const mailbox = new LogMailbox(this.settings.streams.backstopPollMs, timeoutMs, signal);
    // Listening before the first read: what is committed after it cannot be missed.
    const stopListening = this.waiters.listen(taskId, (events) => mailbox.put(events));
    try {
      while (!mailbox.isAborted) {
        const events = mailbox.takeAfter(afterSeq, limit) ?? (await this.listAfter(taskId, afterSeq, limit));
        if (events.length > 0 || mailbox.isOver) return events;
        if (!(await this.isOpen(taskId))) return await this.listAfter(taskId, afterSeq, limit);
        await mailbox.wait();
      }
      return [];
    } finally {
      stopListening();
      mailbox.close();
    }
  }

  async lastSeqs(taskIds: readonly string[]): Promise<Map<string, number>> {
    const known = taskIds.filter((taskId) => isUuid(taskId));
    if (known.length === 0) return new Map();
    const rows = await rawRows(this.dataSource, this.lastSeqsSql, [known]);
    return new Map(rows.map(([taskId, seq]) => [String(taskId), Number(seq)]));
  }

  private async isOpen(taskId: string): Promise<boolean> {
    if (!isUuid(taskId)) return false;
    const [row] = await rawRows(this.dataSource, this.statusSql, [taskId]);
    return row?.[0] === true;
  }

  private async appendEnlisted(command: AppendCommand, manager: EntityManager): Promise<AppendResult> {
    const prepared = prepareAppend(command, this.settings.append.maxPayloadBytes);
    let verdict = await this.judge(prepared, manager);
    // What the first snapshot could not see, the second does: the row is locked by now.
    if (verdict?.outcome === 'STALE') verdict = await this.judge(prepared, manager);
    if (verdict?.outcome !== 'APPENDED' && verdict?.outcome !== 'DUPLICATE') {
      throw appendRefusal(prepared, verdict?.outcome ?? 'STALE');
    }
    const { taskId, type } = command;
    this.afterCommit.run(manager, () => {
      if (verdict.outcome === 'APPENDED') this.count(type);
      this.wakeUps.publishHint(taskId);
    });
    return appendResult(verdict);
  }

  private count(type: TaskEventType): void {
    this.metrics.count('taskbridge_events_appended_total');
    if (isTerminalEventType(type)) this.metrics.count('taskbridge_tasks_finished_total', 1, { type });
  }

  private async judge({ record }: PreparedAppend, manager: EntityManager): Promise<AppendVerdict | undefined> {
    return verdictsOf(await rawRows(manager, this.appendSql, [`[${record}]`]))[0];
  }
}
