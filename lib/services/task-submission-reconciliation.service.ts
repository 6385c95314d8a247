import { Inject, Injectable } from '@nestjs/common';
import { TaskRegistry } from '../stores/task-registry.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { BackgroundWork } from './background-work.js';
import { HandoffBatches } from './handoff-batches.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';

/** Delivers submissions that their creator could not: it died, or the executor failed. */
@Injectable()
export class TaskSubmissionReconciliationService {
  private readonly batches: HandoffBatches;

  constructor(
    private readonly registry: TaskRegistry,
    private readonly dispatcher: HandoffDispatcher,
    background: BackgroundWork,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {
    this.batches = new HandoffBatches(settings.reconciliation.batchSize, background);
  }

  /**
   * Tries one batch of due submissions, each on its own: one that fails or hangs holds up no other. Safe on many instances
   * at once. Returns how many were tried; 0 where this process has no executor.
   */
  async reconcile(): Promise<number> {
    if (!this.dispatcher.enabled) return 0;
    const { room } = this.batches;
    if (room <= 0) return 0;
    const due = await this.registry.claimHandoffs('submission', room, this.settings.reconciliation.claimMs);
    return this.batches.run(due, (task) => this.dispatcher.submit(task));
  }
}
