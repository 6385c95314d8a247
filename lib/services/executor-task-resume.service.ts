import { Injectable, Optional } from '@nestjs/common';
import { TaskExecutor, type ResumeAction } from '../executors/task-executor.js';
import type { TaskRecord } from '../stores/records.js';
import { TaskResumeService } from './task-resume.service.js';

/** The default: calls the executor's `resumeTask`. An executor without that method cannot suspend. */
@Injectable()
export class ExecutorTaskResumeService extends TaskResumeService {
  constructor(@Optional() private readonly executor?: TaskExecutor) {
    super();
  }

  override canResume(): boolean {
    return this.executor?.resumeTask !== undefined;
  }

  override async resumeTask(task: TaskRecord, action: ResumeAction): Promise<void> {
    if (this.executor?.resumeTask === undefined) {
      throw new Error(`Task ${task.taskId} cannot resume: the executor of this process has no resumeTask`);
    }
    await this.executor.resumeTask(task, action);
  }
}
