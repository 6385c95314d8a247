import { TaskExecutor, type ResumeAction } from '../../lib/executors/task-executor.js';
import type { TaskRecord } from '../../lib/stores/records.js';

/** An executor made of functions, which remembers what it was called with. */
export class ScriptedExecutor extends TaskExecutor {
  readonly submitted: TaskRecord[] = [];
  readonly cancelled: TaskRecord[] = [];
  readonly resumed: ResumeAction[] = [];

  constructor(
    private readonly script: {
      submit?: (task: TaskRecord, call: number) => Promise<void> | void;
      cancel?: (task: TaskRecord, call: number) => Promise<void> | void;
      resume?: (action: ResumeAction, call: number) => Promise<void> | void;
    },
  ) {
    super();
  }

  override async submitTask(task: TaskRecord): Promise<void> {
    this.submitted.push(task);
    await this.script.submit?.(task, this.callsOf(this.submitted, task.taskId));
  }

  override async requestCancellation(task: TaskRecord): Promise<void> {
    this.cancelled.push(task);
    await this.script.cancel?.(task, this.callsOf(this.cancelled, task.taskId));
  }

  override async resumeTask(task: TaskRecord, action: ResumeAction): Promise<void> {
    this.resumed.push(action);
    await this.script.resume?.(action, this.resumed.filter(({ receipt }) => receipt.taskId === task.taskId).length);
  }

  private callsOf(calls: readonly TaskRecord[], taskId: string): number {
    return calls.filter((task) => task.taskId === taskId).length;
  }
}

/** Takes tasks, and cannot resume any. */
export class UnresumableExecutor extends TaskExecutor {
  override async submitTask(): Promise<void> {}
  override async requestCancellation(): Promise<void> {}
}
