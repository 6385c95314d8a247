import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type pg from 'pg';
import type { DataSource } from 'typeorm';
import { MetricsSink } from '../observability/metrics-sink.js';
import type { LogEvent } from '../stores/records.js';
import { messageOf } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_DATA_SOURCE, TASKBRIDGE_PROCESS_ID, TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { NotifyChannel } from './notify-channel.js';
import { isFrom, parseNotification, probeOf } from './notify-message.js';
import { NotifyOutbox } from './notify-outbox.js';
import { NotifyPeers } from './notify-peers.js';
import { NotifySender } from './notify-sender.js';
import { ReconnectingClient } from './reconnecting-client.js';
import { type WakeUpHandlers, WakeUps, type WorkKind } from './wake-ups.js';

/** How this process learns of what others commit. */
export type ListenerMode = 'listening' | 'polling';

const CHECK_INTERVAL_MS = 1_000;
const PROBE_INTERVAL_MS = 10_000;
/** A probe that takes longer is not coming back. */
const PROBE_TIMEOUT_MS = 3_000;
/** Connections that let nothing through for this long are replaced. */
const DEAF_LIMIT_MS = 10_000;
/** How long the boot waits for the listener to hear its first probe. */
const SELF_TEST_MS = 3_000;
/** Share of `shutdown.timeoutMs`. */
const FLUSH_SHARE = 0.1;
const STEP_MS = 5;

/**
 * Wake-ups over LISTEN/NOTIFY on two connections of their own, never the pool's: locally at once, to other processes
 * by one coalesced notification, if there are any. A probe that it sends to itself tells whether notifications arrive, which a proxy
 * between can prevent without an error; until they do, followers poll.
 */
@Injectable()
export class PostgresWakeUps extends WakeUps implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(PostgresWakeUps.name);
  private readonly subscribers = new Set<Partial<WakeUpHandlers>>();
  private readonly outbox: NotifyOutbox;
  private readonly sender: NotifySender;
  private readonly listener: ReconnectingClient;
  private readonly peers = new NotifyPeers();
  private readonly flushLimitMs: number;
  private checkTimer: NodeJS.Timeout | undefined;
  private probeSent = 0;
  private probeHeard = 0;
  private probedAtMs = 0;
  private deafSinceMs = performance.now();
  private hearing = false;
  private wasDeaf = false;

  constructor(
    @Inject(TASKBRIDGE_DATA_SOURCE) dataSource: DataSource,
    @Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings,
    @Inject(TASKBRIDGE_PROCESS_ID) private readonly processId: string,
    private readonly metrics: MetricsSink,
  ) {
    super();
    this.flushLimitMs = settings.shutdown.timeoutMs * FLUSH_SHARE;
    const channel = new NotifyChannel(dataSource, settings.direct);
    this.outbox = new NotifyOutbox(processId, settings.streams.notify === 'inline');
    this.sender = new NotifySender(this.outbox, channel, () => this.probe());
    this.listener = new ReconnectingClient({
      name: 'listening',
      create: () => channel.createClient('listen'),
      onConnected: (client) => this.listen(client, channel),
      onLost: () => this.setHearing(false),
    });
  }

  override get hearsOthers(): boolean {
    return this.hearing;
  }

  /** For readiness and logs. */
  get mode(): ListenerMode {
    return this.hearing ? 'listening' : 'polling';
  }

  /** No other process listens: nobody is notified until one announces itself. */
  get isAlone(): boolean {
    return this.peers.isAlone;
  }

  /** Subscriptions that are held now. */
  get subscriberCount(): number {
    return this.subscribers.size;
  }

  onApplicationBootstrap(): Promise<void> {
    return this.start();
  }

  /** After every `onModuleDestroy`: what draining has appended is announced as well. */
  beforeApplicationShutdown(): Promise<void> {
    return this.stop();
  }

  /** Connects and tests itself; resolves also when notifications do not arrive, and goes on trying. */
  async start(): Promise<void> {
    if (this.checkTimer) return;
    this.checkTimer = setInterval(() => this.check(performance.now()), CHECK_INTERVAL_MS).unref();
    await Promise.all([this.sender.start(), this.listener.start()]);
    const untilMs = performance.now() + SELF_TEST_MS;
    while (this.isConnected && !this.hearing && performance.now() < untilMs) await delay(STEP_MS);
    this.wasDeaf = !this.hearing;
    this.metrics.gauge('taskbridge_listener_deaf', this.hearing ? 0 : 1);
    if (this.wasDeaf)
      this.logger.warn(
        'Notifications do not arrive: followers poll until they do. Behind a pooler, give the module a way around it with `direct`',
      );
  }

  /** Sends what waits and disconnects; local subscribers are still served. */
  async stop(): Promise<void> {
    clearInterval(this.checkTimer);
    this.checkTimer = undefined;
    this.hearing = false;
    await Promise.all([this.sender.stop(this.flushLimitMs), this.listener.stop()]);
  }

  publishEvents(events: readonly LogEvent[]): void {
    if (events.length === 0) return;
    this.deliver('local', (handlers) => handlers.onEvents?.(events));
    this.notify(() => this.outbox.addEvents(events));
  }

  publishHint(taskId: string): void {
    this.deliver('local', (handlers) => handlers.onHint?.(taskId));
    this.notify(() => this.outbox.addHint(taskId));
  }

  publishWork(kind: WorkKind, taskId: string): void {
    this.deliver('local', (handlers) => handlers.onWork?.(kind, taskId));
    this.notify(() => this.outbox.addWork(kind, taskId));
  }

  subscribe(handlers: Partial<WakeUpHandlers>): () => void {
    this.subscribers.add(handlers);
    return () => void this.subscribers.delete(handlers);
  }

  private notify(add: () => void): void {
    if (this.peers.isAlone) return;
    add();
    this.sender.flush();
  }

  private get isConnected(): boolean {
    return this.sender.isConnected && this.listener.current !== undefined;
  }

  private async listen(client: pg.Client, channel: NotifyChannel): Promise<void> {
    client.on('notification', ({ payload = '' }) => this.receiveSafely(payload));
    await client.query(`listen "${await channel.nameFor(client)}"`);
    setImmediate(() => this.probe());
  }

  /** Called by pg's emitter, where an error would end the process. */
  private receiveSafely(payload: string): void {
    try {
      this.receive(payload);
    } catch (error) {
      this.logger.error(`A notification could not be taken: ${messageOf(error)}`);
    }
  }

  private receive(payload: string): void {
    if (isFrom(this.processId, payload)) return this.hear(probeOf(payload));
    const notification = parseNotification(payload);
    if (!notification) return;
    const { origin, events, hints, work } = notification;
    // It has just come, and skips this process until it hears of it.
    if (this.peers.heard(origin, performance.now())) this.probe();
    if (events.length > 0) this.deliver('notification', (handlers) => handlers.onEvents?.(events));
    for (const taskId of hints) this.deliver('hint', (handlers) => handlers.onHint?.(taskId));
    for (const [kind, taskId] of work) this.deliver('notification', (handlers) => handlers.onWork?.(kind, taskId));
  }

  private deliver(source: string, tell: (handlers: Partial<WakeUpHandlers>) => void): void {
    this.metrics.count('taskbridge_wakeups_total', 1, { source });
    for (const handlers of this.subscribers) {
      try {
        tell(handlers);
      } catch (error) {
        this.logger.error(`A wake-up handler failed: ${messageOf(error)}`);
      }
    }
  }

  /** Whenever both connections are there anew, and at intervals. */
  private probe(): void {
    if (!this.isConnected) return;
    this.probeSent += 1;
    this.probedAtMs = performance.now();
    this.outbox.setProbe(this.probeSent);
    this.sender.flush();
  }

  private hear(probe: number | undefined): void {
    if (probe === undefined || probe > this.probeSent) return;
    this.probeHeard = probe;
    if (this.listener.current) this.setHearing(true);
  }

  private check(nowMs: number): void {
    this.peers.check(nowMs);
    const sinceProbeMs = nowMs - this.probedAtMs;
    if (!this.hearing) this.checkDeafness(nowMs);
    else if (this.probeHeard < this.probeSent && sinceProbeMs > PROBE_TIMEOUT_MS) this.setHearing(false);
    else if (sinceProbeMs > PROBE_INTERVAL_MS) this.probe();
  }

  /** Connections may look alive and let nothing through. */
  private checkDeafness(nowMs: number): void {
    this.probe();
    if (nowMs - this.deafSinceMs < DEAF_LIMIT_MS) return;
    this.deafSinceMs = nowMs;
    this.listener.replace();
    this.sender.replace();
  }

  private setHearing(hearing: boolean): void {
    if (hearing === this.hearing) return;
    this.hearing = hearing;
    this.deafSinceMs = performance.now();
    this.peers.setHearing(hearing, this.deafSinceMs);
    this.metrics.gauge('taskbridge_listener_deaf', hearing ? 0 : 1);
    if (!hearing) this.logger.warn('Notifications have stopped: followers poll');
    else if (this.wasDeaf) this.logger.log('Notifications arrive again');
    this.wasDeaf = !hearing;
    this.deliver('state', (handlers) => handlers.onMissed?.());
  }
}
