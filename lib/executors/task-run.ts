import type { TaskAttempt } from '../services/task-attempt.js';
import type { TaskRecord } from '../stores/records.js';
import type { PendingResume } from '../stores/suspension.store.js';
import { RunConclusion, type RunOutcome } from './run-conclusion.js';
import { isWaitingOutcome, RunContext, taskAttachments } from './run-context.js';
import type { RunPorts } from './run-ports.js';
import type { AbortReason, TaskAnswer } from './task-handler.js';
import type { RegisteredHandler } from './task-handler.registry.js';

/** What the handler did: returned a value, or threw. */
type HandlerResult = { returned: unknown } | { thrown: unknown };

/** One leased run of one task, from its announcement to the event or hand-over that ends it. */
export class TaskRun {
  readonly taskId: string;
  readonly attemptNo: number;
  private readonly controller = new AbortController();
  private readonly attempt: TaskAttempt;
  private context: RunContext | undefined;
  private concluding = false;
  private reason: AbortReason | undefined;
  private abortedAt: number | undefined;

  constructor(
    private readonly ports: RunPorts,
    readonly handler: RegisteredHandler,
    private readonly task: TaskRecord,
  ) {
    this.taskId = task.taskId;
    this.attemptNo = task.attempt;
    this.attempt = ports.reporter.numbered(task.taskId, task.attempt);
    if (task.cancelRequestedAt !== null) this.abort('CANCELLED');
  }

  /** True once the handler has settled: what becomes of the lease from here on is the run's own doing. */
  get isConcluding(): boolean {
    return this.concluding;
  }

  get abortReason(): AbortReason | undefined {
    return this.reason;
  }

  /** 0 while nobody has told the run to stop. */
  get abortedForMs(): number {
    return this.abortedAt === undefined ? 0 : performance.now() - this.abortedAt;
  }

  /** The first reason stays. */
  abort(reason: AbortReason): void {
    if (this.reason !== undefined) return;
    this.reason = reason;
    this.abortedAt = performance.now();
    this.controller.abort(reason);
  }

  /** Refuses whatever the handler still reports, without waiting for it to return. */
  giveUp(): void {
    this.context?.close();
  }

  /** Calls the handler and ends the run. Rejects only when the end could not be written. */
  async execute(): Promise<RunOutcome> {
    const answer = await this.prepare(() => this.nextAnswer());
    const conclusion = this.conclusion(answer);
    if (this.reason === 'CANCELLED') return conclusion.cancel();
    if (this.isResume && answer === undefined) return conclusion.wait([]);
    const context = await this.prepare(() => this.openContext());
    const refused = await this.announce(conclusion);
    if (refused !== undefined) return refused;
    const result = await this.callHandler(context, answer);
    context.close();
    this.concluding = true;
    return this.conclude(conclusion, context, result);
  }

  private conclude(conclusion: RunConclusion, context: RunContext, result: HandlerResult): Promise<RunOutcome> {
    const stopped = this.stopped(conclusion, result);
    if (stopped !== undefined) return stopped;
    if ('thrown' in result) return conclusion.fail(result.thrown);
    const { requested } = context;
    if (isWaitingOutcome(result.returned) && requested !== undefined) return conclusion.wait(requested);
    if (requested === undefined && !isWaitingOutcome(result.returned)) return conclusion.complete(result.returned);
    return conclusion.fail(new Error(`The handler ${this.handler.name} must return what task.suspend() gave it`));
  }

  /** A run that was told to stop and throws or returns nothing has stopped; with a value or a question it still counts. */
  private stopped(conclusion: RunConclusion, result: HandlerResult): Promise<RunOutcome> | undefined {
    if (this.reason === undefined || ('returned' in result && result.returned !== undefined)) return undefined;
    if (this.reason === 'CANCELLED') return conclusion.cancel();
    if (this.reason === 'SHUTDOWN') return conclusion.handBack();
    return Promise.resolve('superseded');
  }

  private async callHandler(context: RunContext, answer: PendingResume | undefined): Promise<HandlerResult> {
    const { runner, name } = this.handler;
    try {
      if (answer === undefined) return { returned: await runner.run(context) };
      if (runner.resume === undefined) throw new Error(`The handler ${name} has no resume method for the answer`);
      return { returned: await runner.resume(context, toTaskAnswer(answer)) };
    } catch (error) {
      return { thrown: error };
    }
  }

  /** The first attempt starts the task, a repeated one says so; a resumed run says nothing. */
  private async announce(conclusion: RunConclusion): Promise<RunOutcome | undefined> {
    if (this.isResume) return undefined;
    try {
      if (this.task.startedAt === null) await this.attempt.started();
      else await this.attempt.message('The run was interrupted and starts again', 'warning');
      return undefined;
    } catch (error) {
      return conclusion.unwritten(error);
    }
  }

  private async openContext(): Promise<RunContext> {
    const records = await this.ports.attachments.list(this.taskId);
    const attachments = taskAttachments(this.ports.attachments, records);
    const { task, attempt, controller } = this;
    this.context = new RunContext({ task, attempt, attachments, signal: controller.signal });
    return this.context;
  }

  private nextAnswer(): Promise<PendingResume | undefined> {
    if (!this.isResume) return Promise.resolve(undefined);
    const { registry, suspensions } = this.ports;
    return registry.transaction((manager) => suspensions.nextUnconsumedResume(this.taskId, manager));
  }

  private async prepare<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      await this.conclusion(undefined).unwritten(error);
      throw error;
    }
  }

  private conclusion(answer: PendingResume | undefined): RunConclusion {
    const { task, handler, attempt } = this;
    return new RunConclusion(this.ports, { task, handler, attempt, answer });
  }

  private get isResume(): boolean {
    return this.task.suspendedAt !== null;
  }
}

function toTaskAnswer({ receipt, suspension }: PendingResume): TaskAnswer {
  const { suspendId, clientActionId, actionType, payload, acceptedBy, acceptedAt } = receipt;
  return { suspendId, clientActionId, actionType, payload, acceptedBy, acceptedAt, state: suspension.state };
}
