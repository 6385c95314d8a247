import pg from 'pg';
import { plainAppendStatement } from '../../lib/stores/append.sql.js';
import { runRaw } from '../../lib/stores/raw-query.js';
import type { TableNames } from '../../lib/stores/table-names.js';

interface Waiting {
  record: string;
  resolve: (seq: number) => void;
  reject: (error: unknown) => void;
}

/** As the library's lane sets its session up. */
const SET_UP = `select set_config('enable_seqscan', 'off', false),
  set_config('enable_nestloop', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),
  set_config('jit', 'off', false)`;

/** More per flush is slower: nobody prepares the next one meanwhile. */
const MAX_EVENTS = 500;

/**
 * The limit that appends are measured against: natural group commit by hand, on one bare `pg` connection. While a flush
 * is under way records gather, and the next flush takes them all. Nothing is validated, repeated, announced or measured.
 */
export class GroupCommit {
  private waiting: Waiting[] = [];
  private isFlushing = false;

  private constructor(
    private readonly client: pg.Client,
    private readonly statement: string,
  ) {}

  /** `checked`: the library's own statement; otherwise one that locks, counts and inserts without a question. */
  static async open(url: string, tables: TableNames, kind: 'checked' | 'unchecked' = 'checked'): Promise<GroupCommit> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query(SET_UP);
    return new GroupCommit(client, kind === 'checked' ? plainAppendStatement(tables) : uncheckedStatement(tables));
  }

  /** Resolves with the event's number when it is durable. */
  append(record: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ record, resolve, reject });
      if (!this.isFlushing) void this.flushAll();
    });
  }

  close(): Promise<void> {
    return this.client.end();
  }

  private async flushAll(): Promise<void> {
    this.isFlushing = true;
    await Promise.resolve();
    while (this.waiting.length > 0) {
      const flush = this.waiting.slice(0, MAX_EVENTS);
      this.waiting = this.waiting.slice(MAX_EVENTS);
      try {
        const parameter = `[${flush.map(({ record }) => record).join(',')}]`;
        const { rows } = await runRaw(this.client, this.statement, [parameter], 'group_commit');
        for (const [n, seq] of rows as [number, number][]) flush[n - 1]?.resolve(seq);
      } catch (error) {
        for (const { reject } of flush) reject(error);
      }
    }
    this.isFlushing = false;
  }
}

/** Appends of one task, numbered as a reporter numbers them. */
export function recordsOf(taskId: string): (payloadJson: string) => string {
  let appendNo = 0;
  return (payloadJson) => {
    appendNo += 1;
    return `{"task_id":"${taskId}","type":1,"attempt":1,"append_no":${appendNo},"payload":${payloadJson}}`;
  };
}

function uncheckedStatement(t: TableNames): string {
  return `
with input as materialized (
  select e.* from rows from (json_to_recordset($1::json)
      as (task_id uuid, type smallint, attempt int, append_no int, payload json))
    with ordinality as e(task_id, type, attempt, append_no, payload, n)
), locked as materialized (
  select t.task_id, t.last_seq from ${t.tasks} t where t.task_id = any (array(select i.task_id from input i))
  order by t.task_id for no key update of t
), placed as materialized (
  select i.*, l.last_seq + row_number() over (partition by i.task_id order by i.n) as seq
  from input i join locked l on l.task_id = i.task_id
), moved as (
  update ${t.tasks} t set last_seq = g.last_seq
  from (select p.task_id, max(p.seq) as last_seq from placed p group by p.task_id) g
  where t.task_id = g.task_id and t.task_id = any (array(select i.task_id from input i))
), written as (
  insert into ${t.events} (task_id, seq, type, attempt, append_no, created_at, payload)
  select p.task_id, p.seq, p.type, p.attempt, p.append_no, clock_timestamp(), p.payload from placed p
)
select p.n::int, p.seq from placed p`;
}
