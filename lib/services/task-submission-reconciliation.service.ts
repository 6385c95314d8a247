import { Inject, Injectable } from '@nestjs/common';
import { TaskRegistry } from '../stores/task-registry.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';

/** Delivers submissions that their creator could not: it died, or the executor failed. */
@Injectable()
export class TaskSubmissionReconciliationService {
  constructor(
    private readonly registry: TaskRegistry,
    private readonly dispatcher: HandoffDispatcher,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {}

  /**
   * Tries one batch of due submissions, each on its own: one that fails holds up no other. Safe on many instances at
   * once. Returns how many were tried; 0 where this process has no executor.
   */
  async reconcile(): Promise<number> {
    if (!this.dispatcher.enabled) return 0;
    const { batchSize, claimMs } = this.settings.reconciliation;
    const tasks = await this.registry.claimHandoffs('submission', batchSize, claimMs);
    await Promise.all(tasks.map((task) => this.dispatcher.submit(task)));
    return tasks.length;
  }
}
