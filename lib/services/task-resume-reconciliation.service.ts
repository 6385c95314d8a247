import { Inject, Injectable } from '@nestjs/common';
import { SuspensionStore } from '../stores/suspension.store.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { BackgroundWork } from './background-work.js';
import { HandoffBatches } from './handoff-batches.js';
import { HandoffDispatcher } from './handoff-dispatcher.js';

/** Brings accepted answers to the executor, and settles questions that nobody answered in time. */
@Injectable()
export class TaskResumeReconciliationService {
  private readonly batches: HandoffBatches;

  constructor(
    private readonly suspensions: SuspensionStore,
    private readonly dispatcher: HandoffDispatcher,
    background: BackgroundWork,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {
    this.batches = new HandoffBatches(settings.reconciliation.batchSize, background);
  }

  /**
   * Tries one batch of due answers, of each task only the oldest. Safe on many instances at once. Returns how many were
   * tried; 0 where this process has no executor.
   */
  async reconcile(): Promise<number> {
    if (!this.dispatcher.enabled) return 0;
    const { room } = this.batches;
    if (room <= 0) return 0;
    const due = await this.suspensions.listPendingResumeHandoffs(room, this.settings.reconciliation.claimMs);
    return this.batches.run(due, (resume) => this.dispatcher.resume(resume));
  }

  /** Applies `onExpiry` to one batch of questions past due; returns how many. A default action's resume is due at once. */
  expire(): Promise<number> {
    return this.suspensions.expireOpenSuspensions(this.settings.reconciliation.batchSize);
  }
}
