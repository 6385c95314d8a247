import { TaskStateConflictError, UnknownTaskError } from './errors.js';
import type { TaskAttempt, TaskState, TaskStatus } from './records.js';
import type { SpoolCounters } from './spool-counters.js';
import type { SqliteRow } from './sqlite/sqlite-database.js';
import type { StoreDatabase } from './store-database.js';

/** A stored execution with the parts of its row that are the store's own. */
export interface StoredExecution {
  id: number;
  state: TaskState;
  finalDigest: Uint8Array | null;
  payloadTruncated: boolean;
  /** Set aside for its final while it is open; what its final may take. */
  reserveBytes: number;
}

/** How an execution ends. */
export interface ExecutionEnd {
  status: 'final' | 'interrupted';
  finalStatus: string;
  exitCode: number | null;
  outputTruncated: boolean;
  errorTruncated: boolean;
  payloadTruncated: boolean;
  digest: Uint8Array | null;
}

const FIND = 'select * from local_task_executions where task_id = ? and execution_attempt_id = ?';
const GET = 'select * from local_task_executions where id = ?';
/** The condition of the index of open tasks stands in a statement that is to use it. */
const OPEN = `select * from local_task_executions where status in ('received', 'running')`;
const RUNNING = `${OPEN} and status = 'running' order by id`;
const RECEIVED = `${OPEN} and status = 'received' order by id`;
const RECEIVE = `
insert into local_task_executions (task_id, execution_attempt_id, status, received_at_ms, reserve_bytes)
values (?, ?, 'received', ?, ?)`;
const START = `update local_task_executions set status = 'running', started_at_ms = ? where id = ?`;
const END = `
update local_task_executions
set status = ?, final_status = ?, exit_code = ?, output_truncated = max(output_truncated, ?), error_truncated = ?,
  payload_truncated = ?, final_digest = ?, ended_at_ms = ?
where id = ?`;
const LARGEST_RESERVE = `
select max(reserve_bytes) as bytes from local_task_executions where status in ('received', 'running')`;
const DISCARD = 'delete from local_task_executions where id = ?';
const MARK_TRUNCATED = 'update local_task_executions set output_truncated = 1 where id = ?';
const SETTLE = `
update local_task_executions set settled_at_ms = ?
where id = ? and status in ('final', 'interrupted') and not exists (
  select 1 from local_task_outbox_messages where execution_id = local_task_executions.id)`;
/** A few at a time, with each receipt: as many leave as come. */
const FORGET = `
delete from local_task_executions where id in (
  select id from local_task_executions where settled_at_ms < ? order by settled_at_ms limit 16)`;

/** The rows of `local_task_executions`. Called inside the store's transactions. */
export class TaskExecutions {
  private readonly statements;

  constructor(
    database: StoreDatabase,
    private readonly counters: SpoolCounters,
  ) {
    this.statements = {
      find: database.prepare(FIND),
      get: database.prepare(GET),
      running: database.prepare(RUNNING),
      received: database.prepare(RECEIVED),
      receive: database.prepare(RECEIVE),
      start: database.prepare(START),
      end: database.prepare(END),
      discard: database.prepare(DISCARD),
      markTruncated: database.prepare(MARK_TRUNCATED),
      largestReserve: database.prepare(LARGEST_RESERVE),
      settle: database.prepare(SETTLE),
      forget: database.prepare(FORGET),
    };
  }

  find(taskId: string, executionAttemptId: string): StoredExecution | undefined {
    const row = this.statements.find.get(taskId, executionAttemptId);
    return row && storedExecution(row);
  }

  /** The execution that a message belongs to. */
  get(id: number): StoredExecution {
    return storedExecution(this.statements.get.get(id) ?? {});
  }

  /** @throws UnknownTaskError, TaskStateConflictError unless it is in one of the states. */
  require(task: TaskAttempt, ...allowed: TaskStatus[]): StoredExecution {
    const execution = this.find(task.taskId, task.executionAttemptId);
    if (execution === undefined) throw new UnknownTaskError(task.taskId, task.executionAttemptId);
    const { status } = execution.state;
    if (allowed.includes(status)) return execution;
    throw new TaskStateConflictError(task.taskId, task.executionAttemptId, status, allowed.join(' or '));
  }

  /** Of open tasks; 0 for none. */
  largestReserveBytes(): number {
    return Number(this.statements.largestReserve.get()?.['bytes'] ?? 0);
  }

  inStatus(status: 'running' | 'received'): StoredExecution[] {
    return this.statements[status].all().map(storedExecution);
  }

  receive(task: TaskAttempt, reserveBytes: number, nowMs: number): void {
    this.statements.receive.run(task.taskId, task.executionAttemptId, nowMs, reserveBytes);
    this.counters.taskOpened(reserveBytes);
  }

  start(id: number, nowMs: number): void {
    this.statements.start.run(nowMs, id);
  }

  end({ id, reserveBytes }: StoredExecution, end: ExecutionEnd, nowMs: number): void {
    const flags = [Number(end.outputTruncated), Number(end.errorTruncated), Number(end.payloadTruncated)];
    this.statements.end.run(end.status, end.finalStatus, end.exitCode, ...flags, end.digest, nowMs, id);
    this.counters.taskClosed(reserveBytes);
  }

  discard({ id, reserveBytes }: StoredExecution): void {
    this.statements.discard.run(id);
    this.counters.taskClosed(reserveBytes);
  }

  markOutputTruncated(id: number): void {
    this.statements.markTruncated.run(id);
  }

  /** Notes when nothing of an ended task is left to deliver. */
  settle(id: number, nowMs: number): void {
    this.statements.settle.run(nowMs, id);
  }

  /** A few of those settled longest; how many. */
  forgetSettledBefore(timeMs: number): number {
    return this.statements.forget.run(timeMs);
  }
}

export function taskState(row: SqliteRow): TaskState {
  return {
    taskId: String(row['task_id']),
    executionAttemptId: String(row['execution_attempt_id']),
    status: row['status'] as TaskStatus,
    finalStatus: row['final_status'] as string | null,
    exitCode: row['exit_code'] as number | null,
    outputTruncated: row['output_truncated'] === 1,
    errorTruncated: row['error_truncated'] === 1,
    receivedAtMs: Number(row['received_at_ms']),
    startedAtMs: row['started_at_ms'] as number | null,
    endedAtMs: row['ended_at_ms'] as number | null,
  };
}

function storedExecution(row: SqliteRow): StoredExecution {
  return {
    id: Number(row['id']),
    state: taskState(row),
    finalDigest: row['final_digest'] as Uint8Array | null,
    payloadTruncated: row['payload_truncated'] === 1,
    reserveBytes: Number(row['reserve_bytes']),
  };
}
