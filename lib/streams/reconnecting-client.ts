import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import { endClient } from '../stores/direct-client.js';
import { messageOf } from '../taskbridge.errors.js';

export interface ReconnectingClientOptions {
  /** For logs. */
  name: string;
  create(): pg.Client;
  /** Prepares a fresh connection; a rejection counts as a failed connect. */
  onConnected(client: pg.Client): Promise<void>;
  /** The connection that `onConnected` had prepared is gone. */
  onLost(): void;
}

const FIRST_RETRY_MS = 100;
const MAX_RETRY_MS = 10_000;
/** How long `stop` waits for a connection that is being made. */
const STOP_LIMIT_MS = 500;

/** One connection outside the pool that comes back by itself, with exponential backoff and jitter. */
export class ReconnectingClient {
  private readonly logger = new Logger(ReconnectingClient.name);
  private client: pg.Client | undefined;
  private connecting: Promise<void> | undefined;
  private retryTimer: NodeJS.Timeout | undefined;
  private failures = 0;
  private stopped = false;

  constructor(private readonly options: ReconnectingClientOptions) {}

  /** The prepared connection, or `undefined` while there is none. */
  get current(): pg.Client | undefined {
    return this.client;
  }

  /** Resolves after the first attempt, successful or not; it never rejects. */
  start(): Promise<void> {
    this.connecting ??= this.connect().finally(() => (this.connecting = undefined));
    return this.connecting;
  }

  /** Gives up the present connection, because it does not do what it should, and makes a new one without a word. */
  replace(): void {
    const client = this.client;
    if (client) this.lose(client, true);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    await Promise.race([this.connecting, delay(STOP_LIMIT_MS, undefined, { ref: false })]);
    const client = this.client;
    this.client = undefined;
    if (client) await endClient(client);
  }

  private async connect(): Promise<void> {
    const client = this.options.create();
    // pg reports a lost connection by both, in either order.
    client.on('error', () => this.lose(client));
    client.on('end', () => this.lose(client));
    try {
      await client.connect();
      await this.options.onConnected(client);
      if (this.stopped) return await endClient(client);
      this.client = client;
      this.failures = 0;
    } catch (error) {
      client.end().catch(ignore);
      this.warn(`failed: ${messageOf(error)}`);
      this.retryLater();
    }
  }

  private lose(client: pg.Client, isDeliberate = false): void {
    if (this.client !== client) return;
    this.client = undefined;
    client.end().catch(ignore);
    this.options.onLost();
    if (!isDeliberate) this.warn('was lost');
    this.retryLater();
  }

  /** Once per outage. */
  private warn(what: string): void {
    if (this.failures === 0 && !this.stopped) {
      this.logger.warn(`The ${this.options.name} connection ${what}; reconnecting`);
    }
  }

  private retryLater(): void {
    if (this.stopped) return;
    const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures) * (0.5 + Math.random() / 2);
    this.failures = Math.min(this.failures + 1, 10);
    this.retryTimer = setTimeout(() => void this.start(), delayMs).unref();
  }
}

function ignore(): void {}
