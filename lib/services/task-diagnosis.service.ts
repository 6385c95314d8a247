import { Injectable } from '@nestjs/common';
import { formatEventId, type TaskDiagnosis } from '@taskbridge/protocol';
import type { EntityManager } from 'typeorm';
import { ActionReceiptStore } from '../stores/action-receipt.store.js';
import { SuspensionStore } from '../stores/suspension.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { TaskRunStore } from '../stores/task-run.store.js';
import { taskNotFound } from '../taskbridge.errors.js';
import { diagnosisReasons } from './diagnosis-reasons.js';

/** Tells why a task does not go on. */
@Injectable()
export class TaskDiagnosisService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly suspensions: SuspensionStore,
    private readonly receipts: ActionReceiptStore,
    private readonly runs: TaskRunStore,
  ) {}

  /**
   * What the task waits for, all of one instant; fit to be shown to its owner. Waits for nothing itself and changes
   * nothing. Rejects with `TASK_NOT_FOUND`.
   */
  diagnose(taskId: string): Promise<TaskDiagnosis> {
    return this.registry.snapshot((manager) => this.look(taskId, manager));
  }

  private async look(taskId: string, manager: EntityManager): Promise<TaskDiagnosis> {
    const task = await this.registry.getTask(taskId, { manager });
    if (task === undefined) throw taskNotFound(taskId);
    const openSuspensions = await this.suspensions.listOpen(taskId, { manager });
    const receipts = await this.receipts.listReceipts(taskId, { manager });
    const run = await this.runs.view(task, manager);
    return {
      taskId: task.taskId,
      status: task.status,
      checkedAt: run.now.toISOString(),
      lastEventId: task.lastSeq === 0 ? null : formatEventId(task.lastSeq),
      deadlineAt: task.deadlineAt?.toISOString() ?? null,
      reasons: diagnosisReasons({ task, run, openSuspensions, receipts }),
    };
  }
}
