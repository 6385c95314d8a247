import { Inject, Injectable, Optional } from '@nestjs/common';
import { TaskExecutor } from '../executors/task-executor.js';
import { ReadinessProbe, type ReadinessCheck } from './readiness-probe.js';

/** Ready while the executor takes work; a process that runs none has nothing to check. */
@Injectable()
export class ExecutorReadinessProbe extends ReadinessProbe {
  constructor(@Optional() @Inject(TaskExecutor) private readonly executor?: TaskExecutor) {
    super();
  }

  async check(): Promise<ReadinessCheck[]> {
    if (!this.executor) return [];
    await this.executor.checkReady?.();
    return [{ name: 'executor', ok: true }];
  }
}
