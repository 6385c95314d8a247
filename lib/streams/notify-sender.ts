import { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from '../taskbridge.errors.js';
import type { NotifyChannel } from './notify-channel.js';
import { NotifyOutbox } from './notify-outbox.js';
import { ReconnectingClient } from './reconnecting-client.js';

/**
 * Notifies every listener of the channel; one statement for all messages that wait, as JSON because writing an array for
 * `pg` costs several times as much. Not prepared, for poolers.
 */
const NOTIFY = 'select pg_notify($1, message) from json_array_elements_text($2::json) as message';
const FLUSH_STEP_MS = 5;

/** Sends what the outbox holds, one statement at a time; what gathers meanwhile goes out with the next one. */
export class NotifySender {
  private readonly logger = new Logger(NotifySender.name);
  private readonly connection: ReconnectingClient;
  private channelName = '';
  private sending = false;

  constructor(
    private readonly outbox: NotifyOutbox,
    channel: NotifyChannel,
    onConnected: () => void,
  ) {
    this.connection = new ReconnectingClient({
      name: 'notifying',
      create: () => channel.createClient('notify'),
      onConnected: async (client) => {
        this.channelName = await channel.nameFor(client);
        setImmediate(onConnected);
      },
      onLost: () => this.outbox.shrink(),
    });
  }

  get isConnected(): boolean {
    return this.connection.current !== undefined;
  }

  start(): Promise<void> {
    return this.connection.start();
  }

  replace(): void {
    this.connection.replace();
  }

  /** Call after each addition to the outbox. Without a connection the others learn of it later, or by their poll. */
  flush(): void {
    if (!this.isConnected) return this.outbox.shrink();
    if (this.sending) return;
    this.sending = true;
    // Whoever appended goes on first: the next flush is on its way while this is written.
    setImmediate(() => void this.sendAll());
  }

  /** Sends what waits, for at most `limitMs`, then disconnects. */
  async stop(limitMs: number): Promise<void> {
    const untilMs = performance.now() + limitMs;
    this.flush();
    while (this.sending && performance.now() < untilMs) await delay(FLUSH_STEP_MS);
    await this.connection.stop();
  }

  private async sendAll(): Promise<void> {
    try {
      for (let client = this.connection.current; client && !this.outbox.isEmpty; client = this.connection.current) {
        await client.query(NOTIFY, [this.channelName, JSON.stringify(this.outbox.take())]);
      }
    } catch (error) {
      this.logger.debug(`A notification was lost, others find its events by their poll: ${messageOf(error)}`);
    } finally {
      this.sending = false;
    }
  }
}
