import { Inject, Injectable } from '@nestjs/common';
import { TaskRegistry } from '../stores/task-registry.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { BackgroundWork } from './background-work.js';
import { HandoffBatches } from './handoff-batches.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';

/** Delivers cancellations that did not reach the executor when they were requested. */
@Injectable()
export class TaskCancellationReconciliationService {
  private readonly batches: HandoffBatches;

  constructor(
    private readonly registry: TaskRegistry,
    private readonly dispatcher: HandoffDispatcher,
    background: BackgroundWork,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {
    this.batches = new HandoffBatches(settings.reconciliation.batchSize, background);
  }

  /** Tries one batch of due cancellations, as `TaskSubmissionReconciliationService.reconcile` does with submissions. */
  async reconcile(): Promise<number> {
    if (!this.dispatcher.enabled) return 0;
    const { room } = this.batches;
    if (room <= 0) return 0;
    const due = await this.registry.claimHandoffs('cancellation', room, this.settings.reconciliation.claimMs);
    return this.batches.run(due, (task) => this.dispatcher.cancel(task));
  }
}
