import { Injectable, Logger } from '@nestjs/common';
import { MetricsSink } from '../observability/metrics-sink.js';
import type { TaskRecord } from '../stores/records.js';
import { messageOf } from '../taskbridge.errors.js';
import type { RunOutcome } from './run-conclusion.js';
import { RunPorts } from './run-ports.js';
import type { AbortReason } from './task-handler.js';
import type { RegisteredHandler } from './task-handler.registry.js';
import { TaskRun } from './task-run.js';

type EndListener = (run: TaskRun, outcome: RunOutcome | 'lost') => void;

/** The runs of this process and their slots: at most `concurrency` per task type, reservations included. */
@Injectable()
export class RunPool {
  private readonly logger = new Logger(RunPool.name);
  private readonly runs = new Map<TaskRun, Promise<void>>();
  private readonly used = new Map<string, number>();
  private onEnd: EndListener = () => undefined;

  constructor(
    private readonly ports: RunPorts,
    private readonly metrics: MetricsSink,
  ) {}

  /** Told after every run, when its slot is free again. */
  listen(onEnd: EndListener): void {
    this.onEnd = onEnd;
  }

  free(handler: RegisteredHandler): number {
    return Math.max(0, handler.concurrency - (this.used.get(handler.taskType) ?? 0));
  }

  /** Takes a slot before the database is asked for a lease; give it back by `release` when there was none. */
  reserve(taskType: string, count = 1): void {
    this.used.set(taskType, (this.used.get(taskType) ?? 0) + count);
  }

  release(taskType: string, count = 1): void {
    this.reserve(taskType, -count);
  }

  /** Starts the run of a lease that was just granted, on a slot that was reserved. */
  start(handler: RegisteredHandler, task: TaskRecord): void {
    const run = new TaskRun(this.ports, handler, task);
    this.runs.set(run, this.follow(run));
    this.measure(task.taskType);
  }

  find(taskId: string): TaskRun | undefined {
    return this.all().find((run) => run.taskId === taskId && run.abortReason !== 'SUPERSEDED');
  }

  all(): TaskRun[] {
    return [...this.runs.keys()];
  }

  abortAll(reason: AbortReason): void {
    for (const run of this.runs.keys()) run.abort(reason);
  }

  /** Resolves when no run is left, or after the limit in ms. */
  async settledWithin(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    await Promise.race([Promise.all(this.runs.values()), limit]);
    clearTimeout(timer);
  }

  /** Frees the slot of a run whose handler does not return after it was told to stop. */
  giveUp(run: TaskRun): void {
    if (!this.runs.delete(run)) return;
    run.giveUp();
    this.logger.warn(
      `The handler ${run.handler.name} did not stop for task ${run.taskId} (${run.abortReason ?? 'ended'})`,
    );
    this.ended(run, 'superseded');
  }

  private async follow(run: TaskRun): Promise<void> {
    let outcome: RunOutcome | 'lost';
    try {
      outcome = await run.execute();
    } catch (error) {
      this.logger.error(`The run of task ${run.taskId} could not be ended and will be repeated: ${messageOf(error)}`);
      outcome = 'lost';
    }
    if (this.runs.delete(run)) this.ended(run, outcome);
  }

  private ended(run: TaskRun, outcome: RunOutcome | 'lost'): void {
    const { taskType } = run.handler;
    this.release(taskType);
    this.metrics.count('taskbridge_runs_total', 1, { task_type: taskType, outcome: countedAs(run, outcome) });
    this.measure(taskType);
    this.onEnd(run, outcome);
  }

  private measure(taskType: string): void {
    const active = this.all().filter((run) => run.handler.taskType === taskType).length;
    this.metrics.gauge('taskbridge_runs_active', active, { task_type: taskType });
  }
}

/** A run that could write nothing because its task was ended meanwhile counts as what ended it. */
function countedAs({ abortReason }: TaskRun, outcome: RunOutcome | 'lost'): string {
  if (outcome !== 'superseded') return outcome;
  if (abortReason === 'DEADLINE') return 'deadline';
  return abortReason === 'CANCELLED' ? 'cancelled' : outcome;
}
