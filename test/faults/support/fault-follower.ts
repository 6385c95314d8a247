import { setTimeout as sleep } from 'node:timers/promises';
import { isTerminalEventType, type TaskEvent } from '@taskbridge/protocol';
import { readSse, readWebSocket, type StreamRequest } from '../../support/stream-clients.js';

export type FollowerTransport = 'sse' | 'websocket' | 'poll';

export const TRANSPORTS: readonly FollowerTransport[] = ['sse', 'websocket', 'poll'];

/** A stream that is silent for so long, heartbeats included, has lost its server. */
const SILENCE_MS = 2_500;
const POLL_WAIT_MS = 1_500;
const RETRY_MS = 100;

export interface FollowOptions {
  taskId: string;
  subject: string;
  transport: FollowerTransport;
  /** An instance for the next connection; it may be dead. */
  pickUrl: () => string;
  /** First sight of an event by this follower. */
  onEvent: (event: TaskEvent) => void;
}

/**
 * Follows one task to its end over one transport, as a client does: it reconnects to any instance with the last id it
 * has, and drops what it has already. It writes down whatever a correct server cannot do.
 */
export class FaultFollower {
  /** Each event once, in the order of their arrival. */
  readonly events: TaskEvent[] = [];
  readonly findings: string[] = [];
  connections = 0;
  private stopped = false;
  private abort = new AbortController();

  constructor(private readonly options: FollowOptions) {}

  get name(): string {
    return `${this.options.transport} follower of ${this.options.taskId}`;
  }

  get hasEnded(): boolean {
    const last = this.events.at(-1);
    return last !== undefined && isTerminalEventType(last.type);
  }

  /** Resolves at the terminal event, or after `stop`. */
  async follow(): Promise<void> {
    while (!this.hasEnded && !this.stopped) {
      this.connections += 1;
      this.abort = new AbortController();
      try {
        await this.connect();
      } catch {
        // The connection, or the instance behind it, is gone.
      }
      if (!this.hasEnded) await sleep(RETRY_MS);
    }
  }

  stop(): void {
    this.stopped = true;
    this.abort.abort();
  }

  private async connect(): Promise<void> {
    const { transport, taskId, subject, pickUrl } = this.options;
    const url = pickUrl();
    const lastEventId = this.events.at(-1)?.eventId ?? '0';
    if (transport === 'poll') return this.poll(url, lastEventId);
    let watchdog = setTimeout(() => this.abort.abort(), SILENCE_MS);
    const take = this.connectionFrom(lastEventId);
    const request: StreamRequest = {
      subject,
      lastEventId,
      signal: this.abort.signal,
      onEvent: take,
      onFrame: () => {
        clearTimeout(watchdog);
        watchdog = setTimeout(() => this.abort.abort(), SILENCE_MS);
      },
    };
    try {
      if (transport === 'sse') this.judgeStatus((await readSse(url, taskId, request)).status);
      else this.judgeClose(await readWebSocket(url, taskId, request));
    } finally {
      clearTimeout(watchdog);
    }
  }

  private async poll(url: string, lastEventId: string): Promise<void> {
    const { taskId, subject } = this.options;
    const query = `afterEventId=${lastEventId}&maxEvents=7&waitTimeoutMs=${POLL_WAIT_MS}`;
    const response = await fetch(`${url}/api/v1/tasks/${taskId}/events?${query}`, {
      headers: { authorization: `Bearer ${subject}` },
      signal: AbortSignal.any([this.abort.signal, AbortSignal.timeout(SILENCE_MS + POLL_WAIT_MS)]),
    });
    this.judgeStatus(response.status);
    if (response.status !== 200) return;
    const page = (await response.json()) as { events: TaskEvent[] };
    page.events.forEach(this.connectionFrom(lastEventId));
  }

  /** Takes the events of one connection, which must count up from its cursor. */
  private connectionFrom(lastEventId: string): (event: TaskEvent) => void {
    let seq = Number.parseInt(lastEventId, 10);
    return (event) => {
      const next = Number.parseInt(event.eventId, 10);
      if (next !== seq + 1) this.findings.push(`${this.name}: ${event.eventId} came after ${seq}-0`);
      seq = next;
      if (next <= this.events.length) return;
      if (this.hasEnded) this.findings.push(`${this.name}: ${event.eventId} came after the end`);
      this.events.push(event);
      this.options.onEvent(event);
    };
  }

  /** Whatever the trouble, the task is known and the cursor was given out by a server. */
  private judgeStatus(status: number): void {
    if (status >= 400 && status < 500) this.findings.push(`${this.name}: refused with ${status}`);
    if (status === 204 && !this.hasEnded) this.findings.push(`${this.name}: 204 before the terminal event`);
  }

  private judgeClose({ code, reason }: { code: number; reason: string }): void {
    if (code === 1008) this.findings.push(`${this.name}: refused with 1008 ${reason}`);
    if (code === 1000 && !this.hasEnded) this.findings.push(`${this.name}: closed 1000 before the terminal event`);
  }
}
