import { setTimeout as sleep } from 'node:timers/promises';
import type { TaskEvent } from '@taskbridge/protocol';
import type { Acknowledgement, FaultClient } from './fault-client.js';
import { FaultFollower, TRANSPORTS } from './fault-follower.js';
import type { SeededRandom } from './random.js';

export interface TaskPlan {
  key: string;
  taskType: string;
  input: Record<string, unknown>;
  /** Since the start of the round. */
  createAtMs: number;
  /** Sent from two places at once, as a client does that cannot wait. */
  createTwice: boolean;
  /** After the create; `undefined`: nobody cancels it. */
  cancelAfterMs: number | undefined;
  answerAfterMs: number;
  /** Two people answer the same question differently. */
  answerTwice: boolean;
}

/** An answer that was given, with what the server said to it. */
export interface GivenAnswer {
  clientActionId: string;
  suspendId: string;
  actionType: string;
  payload: Record<string, unknown>;
  status: string;
}

/** One task of the load: its creator, its followers, and whoever answers or cancels it. What was promised is kept. */
export class FaultTask {
  taskId = '';
  readonly answers: GivenAnswer[] = [];
  readonly findings: string[] = [];
  readonly followers: FaultFollower[] = [];
  cancelStatus: string | undefined;
  retries = 0;
  private readonly answered = new Set<string>();
  private readonly work: Promise<unknown>[] = [];

  constructor(
    readonly plan: TaskPlan,
    private readonly client: FaultClient,
    private readonly pickUrl: () => string,
    private readonly random: SeededRandom,
  ) {}

  /** Resolves when every request of this task is acknowledged and every follower has seen its end. */
  async live(): Promise<void> {
    await sleep(this.plan.createAtMs);
    const created = await Promise.all(Array.from({ length: this.plan.createTwice ? 2 : 1 }, () => this.create()));
    if (new Set(created).size > 1)
      this.findings.push(`DUPLICATE key ${this.plan.key} made the tasks ${created.join()}`);
    this.taskId = created[0] ?? '';
    if (this.taskId === '') return;
    for (const transport of TRANSPORTS) this.follow(transport);
    if (this.plan.cancelAfterMs !== undefined) this.start(this.cancel(this.plan.cancelAfterMs));
    // Followers add answers to the work while it is waited for.
    for (let done = 0; done < this.work.length; done += 1) await this.work[done];
  }

  stop(): void {
    for (const follower of this.followers) follower.stop();
  }

  private follow(transport: (typeof TRANSPORTS)[number]): void {
    const { taskId, pickUrl } = this;
    const follower = new FaultFollower({
      taskId,
      subject: 'ada',
      transport,
      pickUrl,
      onEvent: (event) => this.saw(event),
    });
    this.followers.push(follower);
    this.start(follower.follow());
  }

  private start(work: Promise<unknown>): void {
    this.work.push(work.catch((error: unknown) => this.findings.push(String(error))));
  }

  private async create(): Promise<string> {
    const { key: clientRequestId, taskType, input } = this.plan;
    const answer = await this.post('/api/v1/tasks', { clientRequestId, taskType, input });
    if (answer === undefined || !this.expect(answer, [200, 201], 'the create')) return '';
    return String(answer.body['taskId']);
  }

  private async cancel(afterMs: number): Promise<void> {
    await sleep(afterMs);
    const answer = await this.post(`/api/v1/tasks/${this.taskId}/cancel`, { reason: `no ${this.plan.key}` });
    if (answer && this.expect(answer, [202], 'the cancellation')) this.cancelStatus = String(answer.body['status']);
  }

  /** Whichever follower sees a question first has it answered. */
  private saw(event: TaskEvent): void {
    if (event.type !== 'TASK_SUSPENDED' || 'expiresInMs' in this.plan.input) return;
    const { suspendId } = event.payload;
    if (this.answered.has(suspendId)) return;
    this.answered.add(suspendId);
    const people = this.plan.answerTwice ? 2 : 1;
    for (let person = 1; person <= people; person += 1) this.start(this.answer(suspendId, person));
  }

  private async answer(suspendId: string, person: number): Promise<void> {
    await sleep(this.plan.answerAfterMs);
    const action = {
      clientActionId: `${suspendId}-by-${person}`,
      suspendId,
      actionType: this.random.pick(['left', 'right']),
      payload: { n: this.random.int(1, 1_000_000) },
    };
    const answer = await this.post(`/api/v1/tasks/${this.taskId}/actions`, action);
    if (answer === undefined || !this.expect(answer, [200, 202], `answer ${action.clientActionId}`)) return;
    this.answers.push({ ...action, status: String(answer.body['status']) });
  }

  private async post(path: string, body: Record<string, unknown>): Promise<Acknowledgement | undefined> {
    try {
      const answer = await this.client.post(path, body);
      this.retries += answer.tries - 1;
      return answer;
    } catch (error) {
      this.findings.push(String(error));
      return undefined;
    }
  }

  private expect({ status, body }: Acknowledgement, expected: readonly number[], what: string): boolean {
    if (expected.includes(status)) return true;
    const loss = status === 404 ? 'LOST ' : '';
    this.findings.push(`${loss}task ${this.taskId} ${what}: ${status} ${JSON.stringify(body)}`);
    return false;
  }
}
