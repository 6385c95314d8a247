import { Inject, Injectable } from '@nestjs/common';
import { EventStore } from '../stores/event.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { WakeUps } from '../streams/wake-ups.js';
import { isTaskBridgeError } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { TaskByTask } from './task-by-task.js';

/** Ends tasks whose deadline has passed on the database's clock, whoever runs them. */
@Injectable()
export class TaskDeadlineService {
  private readonly endings: TaskByTask;

  constructor(
    private readonly registry: TaskRegistry,
    private readonly events: EventStore,
    private readonly wakeUps: WakeUps,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {
    this.endings = new TaskByTask({
      done: 'failed at its deadline',
      backoff: settings.reconciliation,
      width: Infinity,
    });
  }

  /**
   * Fails one batch with `DEADLINE_EXCEEDED`; returns how many. An ending that is logged first wins. A task whose row
   * somebody holds, or that cannot be ended, is tried again and keeps no other waiting.
   */
  async reconcile(): Promise<number> {
    const overdue = await this.registry.listOverdue(this.settings.reconciliation.batchSize, this.endings.leftOut);
    return this.endings.run(overdue, (taskId) => this.end(taskId));
  }

  private async end(taskId: string): Promise<boolean> {
    const payload = { code: 'DEADLINE_EXCEEDED', message: 'The task did not end before its deadline', retryable: true };
    try {
      await this.events.append({ taskId, type: 'TASK_FAILED', attempt: null, payload });
    } catch (error) {
      if (isTaskBridgeError(error) && error.code === 'TASK_ALREADY_TERMINAL') return false;
      throw error;
    }
    this.wakeUps.publishWork('cancellation', taskId);
    return true;
  }
}
