import type { TaskBridgeClient, TaskEvent, TaskSuspension } from '@taskbridge/client';
import { answerText } from '../answer-text.js';
import { describeError } from '../describe-error.js';
import { openQuestions } from '../open-questions.js';
import { printable } from '../printable.js';
import { type Answer, askPerson, type Asking } from './ask-person.js';
import type { TailView } from './tail-view.js';

export interface QuestionDeskOptions {
  client: TaskBridgeClient;
  taskId: string;
  view: TailView;
  terminal: Asking['terminal'];
  /** The person wants to leave. */
  leave: () => void;
}

const WITHDRAWN = 'No answer is needed any more';

/** Puts a task's open questions to a person, one at a time, and takes back what others have answered meanwhile. */
export class QuestionDesk {
  private readonly known = new Set<string>();
  private readonly settled = new Set<string>();
  private readonly waiting: TaskSuspension[] = [];
  private asking: { suspendId: string; controller: AbortController } | undefined;
  private working: Promise<void> | undefined;
  private readonly closing = new AbortController();

  constructor(private readonly options: QuestionDeskOptions) {}

  event(event: TaskEvent): void {
    if (event.type === 'TASK_SUSPENDED') this.offer(event.suspension);
    else if (event.type === 'TASK_ACTION_ACCEPTED') this.settle(event.payload.suspendId);
  }

  /** Questions that are offered again are not asked again. */
  offer(question: TaskSuspension): void {
    if (this.isClosed || this.known.has(question.suspendId)) return;
    this.known.add(question.suspendId);
    this.waiting.push(question);
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  /** Nothing is asked any more; resolves when the screen is free. */
  async close(): Promise<void> {
    this.closing.abort();
    this.asking?.controller.abort();
    await this.working;
  }

  private get isClosed(): boolean {
    return this.closing.signal.aborted;
  }

  private settle(suspendId: string): void {
    this.settled.add(suspendId);
    if (this.asking?.suspendId === suspendId) this.asking.controller.abort();
  }

  private async work(): Promise<void> {
    for (let next = this.waiting.shift(); next && !this.isClosed; next = this.waiting.shift()) {
      try {
        if (await this.isOpen(next)) await this.put(next);
      } catch (error) {
        if (this.isClosed) return;
        this.options.view.note(`The question cannot be answered now: ${printable(describeError(error))}`);
      }
    }
  }

  /** The log may be long past it. */
  private async isOpen({ suspendId }: TaskSuspension): Promise<boolean> {
    if (this.settled.has(suspendId)) return false;
    const { client, taskId } = this.options;
    const open = openQuestions(await client.getTask(taskId, this.closing));
    return open.some((question) => question.suspendId === suspendId) && !this.settled.has(suspendId);
  }

  private async put(question: TaskSuspension): Promise<void> {
    const { view, leave } = this.options;
    let problem: string | undefined;
    do {
      const answer = await this.ask(question, problem);
      if (answer === 'leave') return leave();
      if (answer === 'withdrawn') return this.isClosed ? undefined : view.note(WITHDRAWN);
      if (answer === 'later') return view.note(`Answer it with: taskbridge act ${this.options.taskId} <action>`);
      problem = await this.submit(question, answer);
    } while (problem !== undefined && !this.isClosed);
  }

  private async ask(
    question: TaskSuspension,
    problem: string | undefined,
  ): Promise<Answer | 'leave' | 'later' | 'withdrawn'> {
    const { view, terminal } = this.options;
    const controller = new AbortController();
    if (this.isClosed || this.settled.has(question.suspendId)) return 'withdrawn';
    this.asking = { suspendId: question.suspendId, controller };
    view.hold();
    try {
      const answer = await askPerson(question, { terminal, problem, signal: controller.signal });
      return controller.signal.aborted ? 'withdrawn' : answer;
    } finally {
      this.asking = undefined;
      view.release();
    }
  }

  /** What the server has against the answer. */
  private async submit({ suspendId }: TaskSuspension, answer: Answer): Promise<string | undefined> {
    const { client, taskId, view } = this.options;
    try {
      const { status } = await client.submitAction(taskId, { suspendId, ...answer }, this.closing);
      if (status !== 'ACCEPTED') view.note(`The answer was ${answerText(status)}`);
      return undefined;
    } catch (error) {
      return describeError(error);
    }
  }
}
