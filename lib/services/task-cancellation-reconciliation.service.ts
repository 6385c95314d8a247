import { Inject, Injectable } from '@nestjs/common';
import { TaskRegistry } from '../stores/task-registry.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';

/** Delivers cancellations that did not reach the executor when they were requested. */
@Injectable()
export class TaskCancellationReconciliationService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly dispatcher: HandoffDispatcher,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {}

  /** Tries one batch of due cancellations, as `TaskSubmissionReconciliationService.reconcile` does with submissions. */
  async reconcile(): Promise<number> {
    if (!this.dispatcher.enabled) return 0;
    const { batchSize, claimMs } = this.settings.reconciliation;
    const tasks = await this.registry.claimHandoffs('cancellation', batchSize, claimMs);
    await Promise.all(tasks.map((task) => this.dispatcher.cancel(task)));
    return tasks.length;
  }
}
