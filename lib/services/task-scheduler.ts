import { setTimeout as sleep } from 'node:timers/promises';
import { Inject, Injectable, type OnApplicationBootstrap, Optional } from '@nestjs/common';
import { TaskExecutor } from '../executors/task-executor.js';
import { MetricsSink } from '../observability/metrics-sink.js';
import { AttachmentStore } from '../stores/attachment.store.js';
import { WakeUps } from '../streams/wake-ups.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { PeriodicJob } from './periodic-job.js';
import { StreamTicketService } from './stream-ticket.service.js';
import { TaskCancellationReconciliationService } from './task-cancellation-reconciliation.service.js';
import { TaskDeadlineService } from './task-deadline.service.js';
import { TaskResumeReconciliationService } from './task-resume-reconciliation.service.js';
import { TaskRetentionService } from './task-retention.service.js';
import { TaskSubmissionReconciliationService } from './task-submission-reconciliation.service.js';

const STAGED_ATTACHMENT_MAX_AGE_MS = 3_600_000;
const STAGED_ATTACHMENT_SWEEP_MS = 600_000;
const TICKET_SWEEP_MS = 10_000;
const STOP_LIMIT_MS = 3_000;
/** Wake-ups that come closer together share one early round. */
const EARLY_ROUND_PAUSE_MS = 50;

/**
 * The one loop of this process that brings forward what stayed behind: hand-offs, expiries, deadlines, dead processes'
 * tasks; and now and then it removes what is old. Every instance runs it; the database decides who takes what. With
 * `reconciliation.enabled: false` it does nothing by itself, and the host calls `runRound`.
 */
@Injectable()
export class TaskScheduler implements OnApplicationBootstrap {
  private readonly handoffs: readonly PeriodicJob[];
  private readonly jobs: readonly PeriodicJob[];
  private readonly expiries: PeriodicJob;
  private readonly answers: PeriodicJob;
  private readonly retention: PeriodicJob;
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private earlyTimer: NodeJS.Timeout | undefined;
  private unsubscribe: (() => void) | undefined;
  private stopped = false;

  constructor(
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
    private readonly wakeUps: WakeUps,
    private readonly metrics: MetricsSink,
    submissions: TaskSubmissionReconciliationService,
    resumes: TaskResumeReconciliationService,
    cancellations: TaskCancellationReconciliationService,
    deadlines: TaskDeadlineService,
    attachments: AttachmentStore,
    tickets: StreamTicketService,
    retention: TaskRetentionService,
    @Optional() executor?: TaskExecutor,
  ) {
    const { batchSize } = settings.reconciliation;
    const job = (label: string, name: string, work: () => Promise<number>, everyMs = 0) =>
      new PeriodicJob({ label, name, work, batchSize, everyMs, metrics });
    this.expiries = job('expiries', 'The expiry of questions', () => resumes.expire());
    this.answers = job('answers', 'The delivery of answers', () => resumes.reconcile());
    this.handoffs = [
      job('submissions', 'The delivery of submissions', () => submissions.reconcile()),
      this.answers,
      job('cancellations', 'The delivery of cancellations', () => cancellations.reconcile()),
    ];
    this.jobs = [
      ...this.handoffs,
      job('deadlines', 'The deadline check', () => deadlines.reconcile()),
      job('executor', 'The upkeep of the executor', async () => (await executor?.reconcile?.()) ?? 0),
      job(
        'staged_attachments',
        'The removal of staged attachments',
        () => attachments.discardStaged(STAGED_ATTACHMENT_MAX_AGE_MS),
        STAGED_ATTACHMENT_SWEEP_MS,
      ),
      job('tickets', 'The removal of expired tickets', () => tickets.removeExpired(), TICKET_SWEEP_MS),
    ];
    this.retention = new PeriodicJob({
      label: 'retention',
      name: 'Retention',
      work: async () => {
        await retention.run({ signal: this.stopping.signal });
        return 0;
      },
      batchSize: Infinity,
      everyMs: settings.retention.intervalMs,
      metrics,
    });
  }

  onApplicationBootstrap(): void {
    if (!this.settings.reconciliation.enabled || this.stopped) return;
    this.unsubscribe = this.wakeUps.subscribe({
      onWork: (kind) => {
        if (kind !== 'runnable') this.scheduleEarlyRound();
      },
    });
    this.scheduleRound();
  }

  /**
   * Starts every kind that is due and resolves when all have ended; one that fails does not stop the others. Answers
   * that expired questions gave by default are delivered in the same round. Retention is not among them, because it may
   * take long: a host with a scheduler of its own calls `TaskRetentionService.run`.
   */
  async runRound(): Promise<void> {
    const expired = this.expiries.runIfDue().then(() => this.answers.run());
    await Promise.all([expired, ...this.jobs.map((job) => job.runIfDue())]);
  }

  /**
   * No round starts afterwards. Resolves when the last one has ended, or after a few seconds: a hand-off that hangs in a
   * host's code stays claimed and is tried again elsewhere.
   */
  async stop(): Promise<void> {
    this.stopped = true;
    this.stopping.abort();
    this.unsubscribe?.();
    clearTimeout(this.timer);
    clearTimeout(this.earlyTimer);
    const ended = Promise.all([...this.jobs, this.expiries, this.retention].map((job) => job.stop()));
    await Promise.race([ended, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
  }

  /** Jittered by a quarter, so that instances which booted together spread out. */
  private scheduleRound(): void {
    const pauseMs = this.settings.reconciliation.intervalMs * (0.75 + Math.random() / 2);
    const dueAt = performance.now() + pauseMs;
    this.timer = setTimeout(() => {
      this.metrics.gauge('taskbridge_scheduler_lag_seconds', Math.max(0, performance.now() - dueAt) / 1_000);
      // Not awaited: a kind that hangs in a host's code must not hold up the next round of the others.
      void this.runRound();
      if (this.settings.retention.enabled) void this.retention.runIfDue();
      this.scheduleRound();
    }, pauseMs);
  }

  private scheduleEarlyRound(): void {
    this.earlyTimer ??= setTimeout(() => {
      this.earlyTimer = undefined;
      for (const job of this.handoffs) void job.run();
    }, EARLY_ROUND_PAUSE_MS);
  }
}
