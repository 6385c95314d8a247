import { v7 as uuidv7 } from 'uuid';
import type { TaskSnapshot } from '@taskbridge/protocol';
import { eventually } from './eventually.js';

export interface HttpAnswer {
  status: number;
  headers: Headers;
  /** Parsed where it is JSON, otherwise the text. */
  body: Record<string, unknown>;
}

export type Headings = Record<string, string>;

/** Plain HTTP as one subject. */
export class HttpClient {
  constructor(
    readonly url: string,
    readonly subject: string | null,
    readonly tasksPath = '/api/v1/tasks',
  ) {}

  get(path: string, headers: Headings = {}): Promise<HttpAnswer> {
    return this.send('GET', path, undefined, headers);
  }

  /** An object or array goes as JSON, text as it is with a JSON content type, a form as a form. */
  post(path: string, body?: unknown, headers: Headings = {}): Promise<HttpAnswer> {
    if (body === undefined || body instanceof FormData) return this.send('POST', path, body, headers);
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.send('POST', path, text, { 'content-type': 'application/json', ...headers });
  }

  async send(
    method: string,
    path: string,
    body: string | FormData | undefined,
    headers: Headings,
  ): Promise<HttpAnswer> {
    const authorization: Headings = this.subject === null ? {} : { authorization: `Bearer ${this.subject}` };
    const init = { method, headers: { ...authorization, ...headers }, ...(body !== undefined && { body }) };
    const response = await fetch(`${this.url}${path}`, init);
    return { status: response.status, headers: response.headers, body: parse(await response.text()) };
  }

  /** The new task's id. */
  async create(taskType: string, input: Record<string, unknown> = {}): Promise<string> {
    const answer = await this.post(this.tasksPath, { clientRequestId: uuidv7(), taskType, input });
    if (answer.status !== 201) throw new Error(`create answered ${answer.status} ${JSON.stringify(answer.body)}`);
    return String(answer.body['taskId']);
  }

  async snapshot(taskId: string): Promise<TaskSnapshot> {
    const answer = await this.get(`${this.tasksPath}/${taskId}`);
    if (answer.status !== 200) throw new Error(`the snapshot answered ${answer.status}`);
    return answer.body as unknown as TaskSnapshot;
  }

  /** The first snapshot that satisfies the condition. */
  async until(taskId: string, condition: (task: TaskSnapshot) => boolean): Promise<TaskSnapshot> {
    let task = await this.snapshot(taskId);
    await eventually(async () => {
      task = await this.snapshot(taskId);
      return condition(task);
    });
    return task;
  }
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return { text };
  }
}
