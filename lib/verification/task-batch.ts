import type { TableNames } from '../stores/table-names.js';
import { answerChecks } from './answer-checks.js';
import { contentChecks } from './content-checks.js';
import type { Finding } from './finding-codes.js';
import { handoffChecks } from './handoff-checks.js';
import { offendersStatement, type RowCheck } from './row-check.js';
import { runChecks } from './run-checks.js';
import { judgeTaskLog } from './task-log-rules.js';
import { taskLogOf, taskLogStatement } from './task-log.sql.js';
import type { VerificationConnection } from './verification-connection.js';
import type { VerificationLimits } from './verification-options.js';

/** How many rows a verification has looked at. */
export interface ScannedCounts {
  tasks: number;
  events: number;
  suspensions: number;
  receipts: number;
  attachments: number;
}

/** The checks of one batch of tasks. */
export class TaskBatch {
  private readonly checks: { check: RowCheck; statement: string }[];

  constructor(
    private readonly connection: VerificationConnection,
    limits: VerificationLimits,
  ) {
    const t = connection.tables;
    this.checks = [
      ...answerChecks(t, limits.retainedMs),
      ...handoffChecks(t, limits.pendingOlderThanMs),
      ...runChecks(t, limits),
      ...contentChecks(t, limits.retainedMs),
    ].map((check) => ({ check, statement: offendersStatement(check) }));
  }

  /** Must be called in a snapshot: each statement sees the same tasks. Adds to `scanned`. */
  async findings(taskIds: readonly string[], scanned: ScannedCounts): Promise<Finding[]> {
    const found = await this.logFindings(taskIds, scanned);
    for (const { check, statement } of this.checks) {
      const values = check.limitMs === undefined ? [taskIds] : [taskIds, check.limitMs];
      for (const [taskId, count, subject] of await this.connection.rows(statement, values)) {
        found.push({ code: check.code, taskId: String(taskId), detail: detailOf(Number(count), subject) });
      }
    }
    await this.count(taskIds, scanned);
    return found;
  }

  private async logFindings(taskIds: readonly string[], scanned: ScannedCounts): Promise<Finding[]> {
    const rows = await this.connection.rows(taskLogStatement(this.connection.tables), [taskIds]);
    return rows.flatMap((row) => {
      const task = taskLogOf(row);
      scanned.events += task.log.events;
      return judgeTaskLog(task).map((problem) => ({ ...problem, taskId: task.taskId }));
    });
  }

  private async count(taskIds: readonly string[], scanned: ScannedCounts): Promise<void> {
    const [row] = await this.connection.rows(countStatement(this.connection.tables), [taskIds]);
    const [suspensions = 0, receipts = 0, attachments = 0] = (row ?? []).map(Number);
    scanned.tasks += taskIds.length;
    scanned.suspensions += suspensions;
    scanned.receipts += receipts;
    scanned.attachments += attachments;
  }
}

/** What belongs to the tasks $1, besides their events. */
function countStatement(t: TableNames): string {
  const counts = [t.suspensions, t.receipts, t.attachments].map(
    (table) => `(select count(*) from ${table} x where x.task_id = any ($1::uuid[]))`,
  );
  return `select ${counts.join(', ')}`;
}

function detailOf(count: number, subject: unknown): string {
  return count === 1 ? String(subject) : `${count} of them, such as ${String(subject)}`;
}
