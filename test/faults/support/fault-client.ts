import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from './random.js';

/** A request without an answer after so long is sent again, elsewhere. */
const ANSWER_LIMIT_MS = 2_500;
const GIVE_UP_MS = 60_000;

export interface Acknowledgement {
  status: number;
  body: Record<string, unknown>;
  /** Sendings, this one included. */
  tries: number;
}

/** A client that repeats each request, key and all, on any instance until it is answered for good. */
export class FaultClient {
  constructor(
    private readonly subject: string,
    private readonly urls: () => readonly string[],
    private readonly random: SeededRandom,
  ) {}

  /** Resolves with the first answer that is not the server's trouble; rejects when there is none for a minute. */
  async post(path: string, body: Record<string, unknown>): Promise<Acknowledgement> {
    const text = JSON.stringify(body);
    const giveUpAt = performance.now() + GIVE_UP_MS;
    let problem: unknown;
    for (let tries = 1; performance.now() < giveUpAt; tries += 1) {
      try {
        const { status, body: answer } = await this.send(path, text);
        if (status < 500) return { status, body: answer, tries };
        problem = `${status} ${JSON.stringify(answer)}`;
      } catch (error) {
        problem = error;
      }
      await sleep(this.random.int(50, 250));
    }
    throw new Error(`POST ${path} was never acknowledged: ${String(problem)}`);
  }

  private async send(path: string, text: string): Promise<{ status: number; body: Record<string, unknown> }> {
    const response = await fetch(`${this.random.pick(this.urls())}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.subject}`, 'content-type': 'application/json' },
      body: text,
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }
}
