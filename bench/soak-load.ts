import { setTimeout as sleep } from 'node:timers/promises';
import { HttpClient } from '../test/support/http-client.js';
import { readPolls, readSse, readWebSocket } from '../test/support/stream-clients.js';

const CLIENTS = 24;
const PAUSE_MS = 100;

/** The same work all the time: each client creates a task, follows it to its end, pauses, and begins again. */
export class SoakLoad {
  tasks = 0;
  events = 0;
  readonly problems: string[] = [];
  private stopped = false;
  private readonly clients: Promise<void>[];

  constructor(private readonly url: string) {
    this.clients = Array.from({ length: CLIENTS }, (_, index) => this.client(index));
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.clients);
  }

  private async client(index: number): Promise<void> {
    const http = new HttpClient(this.url, `user-${index}`);
    for (let turn = index; !this.stopped; turn += 1) {
      await this.oneTask(http, turn).catch((error: unknown) => this.problems.push(String(error)));
      this.tasks += 1;
      await sleep(PAUSE_MS);
    }
  }

  private async oneTask(http: HttpClient, turn: number): Promise<void> {
    const asks = turn % 4 === 0;
    const taskId = await http.create(asks ? 'approval' : 'ticks', asks ? {} : { ticks: 10, delayMs: 20 });
    if (turn % 10 === 5) void http.post(`/api/v1/tasks/${taskId}/cancel`, { reason: 'soak' });
    const onEvent = ({ type, payload }: { type: string; payload: unknown }): void => {
      this.events += 1;
      if (type !== 'TASK_SUSPENDED') return;
      const { suspendId } = payload as { suspendId: string };
      const action = { clientActionId: 'answer', suspendId, actionType: 'approve', payload: { note: 'soak' } };
      void http.post(`/api/v1/tasks/${taskId}/actions`, action);
    };
    const request = { subject: http.subject ?? '', onEvent };
    if (turn % 3 === 0) await readPolls(this.url, taskId, request);
    else await (turn % 3 === 1 ? readSse : readWebSocket)(this.url, taskId, request);
  }
}
