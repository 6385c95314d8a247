import { WebSocket } from 'ws';
import type { TaskCreatedResponse, TaskEvent, TaskSnapshot } from '@taskbridge/protocol';

/** The calls of a client of the sample, as one of its demo users. */
export class SampleClient {
  private keys = 0;

  constructor(
    readonly url: string,
    readonly user = 'ada',
  ) {}

  get headers(): Record<string, string> {
    return { authorization: `Bearer demo-${this.user}` };
  }

  /** Uploads a CSV text for import; without one the task has no attachment. */
  async importContacts(csv: string | undefined): Promise<string> {
    const form = new FormData();
    form.set('clientRequestId', this.nextKey());
    form.set('taskType', 'contacts.import');
    if (csv !== undefined) form.set('attachment', new Blob([csv], { type: 'text/csv' }), 'contacts.csv');
    return this.created(await this.post('/api/v1/tasks', form));
  }

  async createTask(taskType: string, input: Record<string, unknown>): Promise<string> {
    const body = { clientRequestId: this.nextKey(), taskType, input };
    return this.created(await this.post('/api/v1/tasks', JSON.stringify(body)));
  }

  async answer(taskId: string, suspendId: string, actionType: string, payload?: object): Promise<Response> {
    const action = { clientActionId: this.nextKey(), suspendId, actionType, payload };
    return this.post(`/api/v1/tasks/${taskId}/actions`, JSON.stringify(action));
  }

  async cancel(taskId: string): Promise<Response> {
    return this.post(`/api/v1/tasks/${taskId}/cancel`, '{}');
  }

  async snapshot(taskId: string): Promise<TaskSnapshot> {
    const response = await fetch(`${this.url}/api/v1/tasks/${taskId}`, { headers: this.headers });
    return (await response.json()) as TaskSnapshot;
  }

  /** Follows the task over the WebSocket until its end, giving each event to `onEvent`; returns all of them. */
  follow(taskId: string, onEvent: (event: TaskEvent) => void = () => undefined): Promise<TaskEvent[]> {
    const socket = new WebSocket(`${this.url.replace('http', 'ws')}/api/v1/tasks/ws`, { headers: this.headers });
    const events: TaskEvent[] = [];
    socket.on('open', () => socket.send(JSON.stringify({ action: 'subscribe', taskId })));
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as TaskEvent;
      if (!frame.type.startsWith('TASK_')) return;
      events.push(frame);
      onEvent(frame);
    });
    return new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', (code, reason) =>
        code === 1000 ? resolve(events) : reject(new Error(`closed with ${code} ${reason.toString()}`)),
      );
    });
  }

  private nextKey(): string {
    this.keys += 1;
    return `key-${this.keys}`;
  }

  private async post(path: string, body: FormData | string): Promise<Response> {
    const type: Record<string, string> = typeof body === 'string' ? { 'content-type': 'application/json' } : {};
    return fetch(`${this.url}${path}`, { method: 'POST', body, headers: { ...this.headers, ...type } });
  }

  private async created(response: Response): Promise<string> {
    if (response.status !== 201) throw new Error(`create answered ${response.status} ${await response.text()}`);
    return ((await response.json()) as TaskCreatedResponse).taskId;
  }
}
