import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { EventStore } from '../stores/event.store.js';
import { SuspensionStore } from '../stores/suspension.store.js';
import { TaskLeaseStore } from '../stores/task-lease.store.js';
import { TaskRegistry } from '../stores/task-registry.js';
import { type AttemptPorts, TaskAttempt } from './task-attempt.js';
import { TaskResumeService } from './task-resume.service.js';

/** How executors report: through one `TaskAttempt` per run. */
@Injectable()
export class TaskReporter {
  private readonly ports: AttemptPorts;

  constructor(
    private readonly leases: TaskLeaseStore,
    registry: TaskRegistry,
    events: EventStore,
    suspensions: SuspensionStore,
    private readonly moduleRef: ModuleRef,
  ) {
    this.ports = { registry, events, suspensions, canResume: () => this.canResume() };
  }

  /** Whether somebody could resume a task that suspends. */
  canResume(): boolean {
    // Looked up late: the default resume service needs the executor, and executors inject this class.
    return this.moduleRef.get(TaskResumeService).canResume();
  }

  /**
   * Opens the task's next attempt and fences the one before it, whose reports are refused from here on. For an executor
   * where one process at a time runs the task. Rejects with `TASK_NOT_FOUND` and `TASK_ALREADY_TERMINAL`.
   */
  async beginAttempt(taskId: string): Promise<TaskAttempt> {
    const attempt = await this.leases.beginAttempt(taskId);
    return this.numbered(taskId, attempt);
  }

  /**
   * Reports for an attempt that exists already, also from several processes at once; give `appendId` where a report may
   * be repeated. Use the number that `submitTask` received in `task.attempt`, or that `beginAttempt` opened.
   */
  attach(taskId: string, attempt: number): TaskAttempt {
    return new TaskAttempt(this.ports, { taskId, attempt, numbered: false });
  }

  /** The only reporter of an attempt that a lease grant has just opened. */
  numbered(taskId: string, attempt: number): TaskAttempt {
    return new TaskAttempt(this.ports, { taskId, attempt, numbered: true });
  }
}
