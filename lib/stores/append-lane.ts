import { Inject, Injectable, Logger } from '@nestjs/common';
import type { OnApplicationShutdown, OnModuleDestroy } from '@nestjs/common';
import type { DataSource } from 'typeorm';
import { MetricsSink } from '../observability/metrics-sink.js';
import { WakeUps } from '../streams/wake-ups.js';
import { messageOf, TaskBridgeError } from '../taskbridge.errors.js';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_DATA_SOURCE, TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { prepareAppend } from './append-command.js';
import { AppendConnection } from './append-connection.js';
import { AppendDelivery } from './append-delivery.js';
import { AppendQueue, type QueuedAppend } from './append-queue.js';
import type { AppendCommand, AppendResult } from './event.store.js';

/** Parked tasks are looked at this often, in ms. */
const PARKED_RETRY_MS = 75;
/** A drain does not wait longer than this for rows that somebody else holds, in ms. */
const DRAIN_PARKED_LIMIT_MS = 5_000;

/**
 * This process' one writer of events. While a flush is in flight appends gather, and the next flush takes them all in
 * one statement; an idle lane flushes at once. Appends of one task keep the order of their calls. Each promise settles
 * when its flush is durable, after the wake-ups went out. An append is applied once even when its connection is lost
 * in mid-flush. A task whose row somebody holds is set aside, and only its own appends wait.
 */
@Injectable()
export class AppendLane implements OnModuleDestroy, OnApplicationShutdown {
  private readonly logger = new Logger(AppendLane.name);
  private readonly queue: AppendQueue;
  private readonly connection: AppendConnection;
  private readonly delivery: AppendDelivery;
  private readonly waitingForRoom: QueuedAppend[] = [];
  private idleListeners: (() => void)[] = [];
  private isWorking = false;
  private isClosed = false;
  private drainingSince: number | undefined;
  private parkedDueAt = 0;
  private parkedTimer: NodeJS.Timeout | undefined;

  constructor(
    @Inject(TASKBRIDGE_DATA_SOURCE) dataSource: DataSource,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
    wakeUps: WakeUps,
    private readonly metrics: MetricsSink,
  ) {
    this.queue = new AppendQueue(settings.append.maxQueued);
    this.connection = new AppendConnection(dataSource, settings);
    this.delivery = new AppendDelivery(this.connection, this.queue, wakeUps, metrics);
  }

  /**
   * Rejects as `EventStore.append` does, and with `SERVICE_UNAVAILABLE` when the database stays out of reach, the lane
   * is closed, or too many wait for the row of this task already; whether the event was written is then unknown, and a
   * repeat with the same number or id is safe.
   * Must not be awaited inside a transaction that holds the task's row: enlist the append in that transaction instead.
   */
  append(command: AppendCommand): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      const prepared = prepareAppend(command, this.settings.append.maxPayloadBytes);
      if (this.isClosed) throw new TaskBridgeError('SERVICE_UNAVAILABLE', 'This process is stopping; append elsewhere');
      this.enqueue(Object.assign(prepared, { resolve, reject }));
    });
  }

  /**
   * Resolves when everything appended so far is durable or refused; appends that come meanwhile are still taken. Gives
   * up, with `SERVICE_UNAVAILABLE`, what a database out of reach or a row held by somebody keeps it from writing.
   */
  async drain(): Promise<void> {
    this.drainingSince ??= performance.now();
    this.delivery.isDraining = true;
    while (!this.isIdle) await new Promise<void>((resolve) => this.idleListeners.push(resolve));
  }

  /** Gives up, with `SERVICE_UNAVAILABLE`, whatever is not durable yet and every later append. For the end of a shutdown. */
  abandon(): void {
    this.connection.abandon();
  }

  /** Drains, refuses what comes after, and ends the connection. Idempotent. */
  async close(): Promise<void> {
    await this.drain();
    this.isClosed = true;
    await this.connection.close();
  }

  onModuleDestroy(): Promise<void> {
    return this.drain();
  }

  onApplicationShutdown(): Promise<void> {
    return this.close();
  }

  private get isIdle(): boolean {
    return !this.isWorking && this.queue.isEmpty;
  }

  /** A full queue makes callers wait in the order of their calls. */
  private enqueue(append: QueuedAppend): void {
    if (this.waitingForRoom.length > 0 || this.queue.size >= this.settings.append.maxQueued) {
      this.waitingForRoom.push(append);
      return;
    }
    this.queue.push(append);
    if (!this.isWorking) void this.work();
  }

  private async work(): Promise<void> {
    this.isWorking = true;
    clearTimeout(this.parkedTimer);
    // The rest of this turn's appends belong to the first flush.
    await Promise.resolve();
    while (this.queue.size > 0 || this.isParkedDue) {
      if (this.isParkedDue) await this.lookAtParked();
      await this.flushOnce();
    }
    this.isWorking = false;
    if (this.queue.isEmpty) this.tellIdle();
    else this.parkedTimer = setTimeout(() => void this.work(), PARKED_RETRY_MS);
  }

  private async flushOnce(): Promise<void> {
    const { maxFlushEvents: maxEvents, maxFlushBytes: maxBytes, maxQueued } = this.settings.append;
    const appends = this.queue.take({ maxEvents, maxBytes });
    const room = maxQueued - this.queue.size;
    if (this.waitingForRoom.length > 0) for (const next of this.waitingForRoom.splice(0, room)) this.queue.push(next);
    const waiting = this.queue.size + this.queue.parkedSize + this.waitingForRoom.length;
    this.metrics.gauge('taskbridge_append_queue_size', waiting);
    if (appends.length > 0) await this.delivery.deliver(appends);
  }

  private get isParkedDue(): boolean {
    return this.queue.hasParked && performance.now() >= this.parkedDueAt;
  }

  private get isPatienceOver(): boolean {
    if (this.connection.isAbandoned) return true;
    return this.drainingSince !== undefined && performance.now() - this.drainingSince > DRAIN_PARKED_LIMIT_MS;
  }

  private async lookAtParked(): Promise<void> {
    this.parkedDueAt = performance.now() + PARKED_RETRY_MS;
    if (this.isPatienceOver) {
      this.delivery.rejectAll(this.queue.takeParked(), new Error('Another transaction holds the row of the task'));
      return;
    }
    try {
      this.queue.unpark(await this.connection.freeAmong(this.queue.parkedTasks));
    } catch (error) {
      // The flush meets the same failure, and knows how to recover from it.
      this.logger.debug({ message: 'Looking at parked tasks failed', reason: messageOf(error) });
      this.queue.unpark(this.queue.parkedTasks);
    }
  }

  private tellIdle(): void {
    const listeners = this.idleListeners;
    this.idleListeners = [];
    for (const tell of listeners) tell();
  }
}
