import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ErrorEnvelope,
  TaskClientAction,
  TaskClientActionResponse,
  TaskCreatedResponse,
} from '@taskbridge/protocol';

const ATTEMPTS = 5;

/** The few HTTP calls of the demo. Each carries an idempotency key of the caller, so a lost answer is asked for again. */
export class TaskClient {
  constructor(
    readonly url: string,
    readonly headers: Readonly<Record<string, string>>,
  ) {}

  /** Whether this is a running sample; another program, a host of the reader's own for one, may be listening there. */
  async isAnswering(): Promise<boolean> {
    try {
      const root = await fetch(this.url, { signal: AbortSignal.timeout(3_000) });
      return ((await root.json()) as { name?: unknown }).name === 'taskbridge-sample';
    } catch {
      return false;
    }
  }

  async upload(taskType: string, clientRequestId: string, path: string): Promise<TaskCreatedResponse> {
    const form = new FormData();
    form.set('clientRequestId', clientRequestId);
    form.set('taskType', taskType);
    form.set('attachment', new Blob([await readFile(path)], { type: 'text/csv' }), basename(path));
    return this.post('/api/v1/tasks', form);
  }

  async answer(taskId: string, action: TaskClientAction): Promise<TaskClientActionResponse> {
    return this.post(`/api/v1/tasks/${taskId}/actions`, JSON.stringify(action));
  }

  async cancel(taskId: string): Promise<void> {
    await this.post(`/api/v1/tasks/${taskId}/cancel`, '{}');
  }

  private async post<T>(path: string, body: FormData | string): Promise<T> {
    const type: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    const response = await this.send(path, { method: 'POST', body, headers: { ...this.headers, ...type } });
    const answer: unknown = await response.json();
    if (response.ok) return answer as T;
    throw new Error(
      `${path} was refused: ${response.status} ${(answer as ErrorEnvelope).code} ${(answer as ErrorEnvelope).message}`,
    );
  }

  private async send(path: string, request: RequestInit): Promise<Response> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await fetch(`${this.url}${path}`, request);
      } catch (cause) {
        if (attempt === ATTEMPTS) throw new Error(`${this.url} does not answer`, { cause });
        await sleep(300 * attempt);
      }
    }
  }
}
