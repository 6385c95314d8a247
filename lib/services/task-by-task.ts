import { Logger } from '@nestjs/common';
import { ReadSlots } from '../streams/read-slots.js';
import { messageOf } from '../taskbridge.errors.js';
import { backoffDelayMs, type BackoffSettings } from './backoff.js';

export interface TaskByTaskOptions {
  /** What is done with each task, for the log, as in "Task … could not be …". */
  done: string;
  /** Until a task that failed is tried again. */
  backoff: BackoffSettings;
  /** How many tasks are worked on at once. */
  width: number;
}

/** A task that the next run leaves out. */
interface Aside {
  failures: number;
  /** By `performance.now()`; `Infinity` while its work is under way. */
  untilMs: number;
}

/** How long a run waits for its tasks; those that take longer go on by themselves. */
const PATIENCE_MS = 1_000;
/** Failures beyond are forgotten, the oldest first, which costs an early try; no more than these are under way. */
const MAX_ASIDE = 1_000;

/**
 * Upkeep of single tasks that must not keep each other waiting: a task whose work hangs, or fails, is left out of the
 * runs that follow, until it has settled or its pause is over. A failure is logged when it is the task's first.
 */
export class TaskByTask {
  private readonly logger = new Logger('TaskScheduler');
  private readonly aside = new Map<string, Aside>();
  private readonly slots: ReadSlots;
  private done = 0;

  constructor(private readonly options: TaskByTaskOptions) {
    this.slots = new ReadSlots(options.width);
  }

  /** The tasks that a run would leave out now. */
  get leftOut(): string[] {
    const now = performance.now();
    return [...this.aside].filter(([, { untilMs }]) => untilMs > now).map(([taskId]) => taskId);
  }

  /**
   * Calls `work` for each task; it resolves with whether there was something to do. Never rejects. Returns how many
   * tasks were done since the last run, those of earlier runs that took longer included.
   */
  async run(taskIds: readonly string[], work: (taskId: string) => Promise<boolean>): Promise<number> {
    const leftOut = new Set(this.leftOut);
    const room = MAX_ASIDE - this.underWay;
    const taken = taskIds.filter((taskId) => !leftOut.has(taskId)).slice(0, room);
    for (const taskId of taken) this.setAside(taskId, { failures: this.failuresOf(taskId), untilMs: Infinity });
    const all = Promise.all(taken.map((taskId) => this.slots.run(() => this.one(taskId, work))));
    await this.patience(all.then((reasons) => this.report(reasons.filter((reason) => reason !== undefined))));
    const { done } = this;
    this.done = 0;
    return done;
  }

  /** What is to be logged: the reason of a failure that is the task's first. */
  private async one(taskId: string, work: (taskId: string) => Promise<boolean>): Promise<string | undefined> {
    const failures = this.failuresOf(taskId) + 1;
    try {
      if (await work(taskId)) this.done += 1;
      this.aside.delete(taskId);
      return undefined;
    } catch (error) {
      const untilMs = performance.now() + backoffDelayMs(failures, this.options.backoff);
      this.setAside(taskId, { failures, untilMs });
      return failures === 1 ? `Task ${taskId} could not be ${this.options.done}: ${messageOf(error)}` : undefined;
    }
  }

  /** One line, however many failed together. */
  private report([first, ...more]: readonly string[]): void {
    if (first === undefined) return;
    const others = more.length > 0 ? ` (and ${more.length} more)` : '';
    this.logger.error(`${first}${others}; trying again`);
  }

  private async patience(all: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_MS);
    });
    await Promise.race([all, limit]);
    clearTimeout(timer);
  }

  private get underWay(): number {
    return [...this.aside.values()].filter(({ untilMs }) => untilMs === Infinity).length;
  }

  private failuresOf(taskId: string): number {
    return this.aside.get(taskId)?.failures ?? 0;
  }

  private setAside(taskId: string, aside: Aside): void {
    this.aside.delete(taskId);
    this.aside.set(taskId, aside);
    if (this.aside.size <= MAX_ASIDE) return;
    const oldest = [...this.aside].find(([, { untilMs }]) => untilMs < Infinity);
    if (oldest !== undefined) this.aside.delete(oldest[0]);
  }
}
