import { Inject, Injectable, Logger, Optional, type OnModuleDestroy } from '@nestjs/common';
import { TaskExecutor, type ResumeAction } from '../executors/task-executor.js';
import type { TaskAttempt } from '../services/task-attempt.js';
import { TaskReporter } from '../services/task-reporter.js';
import type { SuspensionRequest, TaskRecord } from '../stores/records.js';
import { isTaskBridgeError, messageOf } from '../taskbridge.errors.js';

/** DI token of the fake's options, for `{ useClass: DeterministicFakeExecutor }`. */
export const FAKE_EXECUTOR_OPTIONS = Symbol.for('@taskbridge/nestjs:fake-executor-options');

export interface FakeExecutorOptions {
  /** Progress events per task. @default 3 */
  ticks?: number;
  /** Fails after this many progress events, or with 0 right after the start. @default never */
  failAfterTick?: number;
  /** Asks `suspension` once, after this many progress events. @default never */
  suspendAfterTick?: number;
  /** @default a question with the one action `continue` */
  suspension?: SuspensionRequest;
  /** Ticks by itself with this pause, in ms. @default only when `tick` is called */
  tickEveryMs?: number;
}

interface FakeRun {
  readonly taskId: string;
  readonly plan: Required<Pick<FakeExecutorOptions, 'ticks'>> & FakeExecutorOptions;
  attempt: TaskAttempt;
  /** Progress events so far; -1 before the start. */
  position: number;
  cancelled: boolean;
  suspended: boolean;
  asked: boolean;
  /** Serialises this task's ticks. */
  last: Promise<void>;
}

/**
 * An executor for tests: every task makes the same steps — started, `ticks` progress events, completed with
 * `{ ticks }` — one per tick, so a test decides when what happens. It cooperates with cancellation at the next tick. It
 * keeps its tasks in memory only.
 */
@Injectable()
export class DeterministicFakeExecutor extends TaskExecutor implements OnModuleDestroy {
  private readonly logger = new Logger(DeterministicFakeExecutor.name);
  private readonly runs = new Map<string, FakeRun>();
  private readonly submissions = new Map<string, Promise<void>>();
  private readonly resumed = new Set<string>();
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly reporter: TaskReporter,
    @Optional() @Inject(FAKE_EXECUTOR_OPTIONS) private readonly options: FakeExecutorOptions = {},
  ) {
    super();
  }

  /** Overridden where task types behave differently. */
  protected planOf(_task: TaskRecord): FakeExecutorOptions {
    return this.options;
  }

  override submitTask(task: TaskRecord): Promise<void> {
    const known = this.submissions.get(task.taskId);
    if (known !== undefined) return known;
    const submission = this.accept(task);
    this.submissions.set(task.taskId, submission);
    // After a fault the same task may be submitted again.
    submission.catch(() => this.submissions.delete(task.taskId));
    return submission;
  }

  override async requestCancellation(task: TaskRecord): Promise<void> {
    const run = this.runs.get(task.taskId);
    if (run !== undefined) run.cancelled = true;
  }

  override async resumeTask(task: TaskRecord, action: ResumeAction): Promise<void> {
    const key = `${task.taskId}/${action.receipt.clientActionId}`;
    const run = this.runs.get(task.taskId);
    if (run === undefined || this.resumed.has(key)) return;
    this.resumed.add(key);
    run.suspended = false;
  }

  /** One step of one task, or of every task in the order of submission. Resolves when its event is durable. */
  async tick(taskId?: string): Promise<void> {
    const due =
      taskId === undefined ? [...this.runs.values()] : [...this.runs.values()].filter((run) => run.taskId === taskId);
    for (const run of due) {
      run.last = run.last.then(() => this.step(run));
      await run.last;
    }
  }

  onModuleDestroy(): void {
    clearTimeout(this.timer);
    this.runs.clear();
  }

  private async accept(task: TaskRecord): Promise<void> {
    const { taskId } = task;
    let attempt: TaskAttempt;
    try {
      attempt = await this.reporter.beginAttempt(taskId);
    } catch (error) {
      if (isEnd(error)) return;
      throw error;
    }
    const plan = { ticks: 3, ...this.planOf(task) };
    const state = { position: -1, cancelled: false, suspended: false, asked: false, last: Promise.resolve() };
    this.runs.set(taskId, { taskId, plan, attempt, ...state });
    this.schedule(plan.tickEveryMs);
  }

  private async step(run: FakeRun): Promise<void> {
    try {
      await this.next(run);
    } catch (error) {
      // Whoever ended the task or opened a newer attempt has the say from here on.
      this.runs.delete(run.taskId);
      if (!isEnd(error)) throw error;
    }
  }

  private async next(run: FakeRun): Promise<void> {
    const { attempt, plan, position } = run;
    if (run.cancelled) return this.end(run, attempt.cancelled());
    if (run.suspended) return;
    if (position === -1) await attempt.started();
    else if (position === plan.failAfterTick)
      return this.end(run, attempt.fail({ message: `Failed after tick ${position}` }));
    else if (position === plan.suspendAfterTick && !run.asked) return this.ask(run);
    else if (position === plan.ticks) return this.end(run, attempt.complete({ ticks: plan.ticks }));
    else await attempt.progress(Math.round(((position + 1) * 100) / plan.ticks));
    run.position += 1;
  }

  private async ask(run: FakeRun): Promise<void> {
    run.asked = true;
    run.suspended = true;
    await run.attempt.suspend(run.plan.suspension ?? { reasonCode: 'FAKE_QUESTION', allowedActions: ['continue'] });
  }

  private async end(run: FakeRun, report: Promise<unknown>): Promise<void> {
    await report;
    this.runs.delete(run.taskId);
  }

  private schedule(tickEveryMs: number | undefined): void {
    if (tickEveryMs === undefined || this.timer !== undefined) return;
    this.timer = setTimeout(() => void this.tickByItself(tickEveryMs), tickEveryMs);
  }

  private async tickByItself(tickEveryMs: number): Promise<void> {
    try {
      await this.tick();
    } catch (error) {
      this.logger.error(`The fake executor dropped a task: ${messageOf(error)}`);
    }
    this.timer = undefined;
    if (this.runs.size > 0) this.schedule(tickEveryMs);
  }
}

function isEnd(error: unknown): boolean {
  return isTaskBridgeError(error) && (error.code === 'TASK_ALREADY_TERMINAL' || error.code === 'ATTEMPT_SUPERSEDED');
}
