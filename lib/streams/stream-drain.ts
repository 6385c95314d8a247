import { Inject, Injectable } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TaskBridgeError } from '../taskbridge.errors.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';

/** A connection that keeps the HTTP server from closing: a stream, a socket, a waiting poll. */
export interface Drainable {
  /** Ends it with a retryable signal; it takes itself off the drain once its connection has let go. */
  shutdown(): void;
  /** Ends it without waiting for the peer. */
  terminate(): void;
}

const STEP_MS = 20;
/** How long peers may take to answer the end of their stream. */
const GRACE_MS = 1_000;
/** Told to clients that come while the process drains; another instance may take them at once. */
export const RETRY_AFTER_SECONDS = 1;

/**
 * Ends all streams at shutdown, each at a random moment of the drain window, so that their clients do not all arrive
 * at the other instances at once. From the first moment on new ones are refused.
 */
@Injectable()
export class StreamDrain {
  private readonly open = new Set<Drainable>();
  private readonly windowMs: number;
  private running: Promise<void> | undefined;

  constructor(@Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings) {
    this.windowMs = settings.shutdown.drainWindowMs;
  }

  get isDraining(): boolean {
    return this.running !== undefined;
  }

  /** Connections that would be drained now. */
  get size(): number {
    return this.open.size;
  }

  /** Throws `SERVICE_UNAVAILABLE` while draining. */
  assertOpen(): void {
    if (this.isDraining) throw drainingError();
  }

  add(connection: Drainable): void {
    this.open.add(connection);
  }

  remove(connection: Drainable): void {
    this.open.delete(connection);
  }

  /** Resolves when every connection has ended; repeats join the first call. */
  drain(): Promise<void> {
    this.running ??= this.drainAll();
    return this.running;
  }

  private async drainAll(): Promise<void> {
    const startedAtMs = performance.now();
    const due = [...this.open].map((connection) => ({ connection, atMs: Math.random() * this.windowMs }));
    due.sort((a, b) => b.atMs - a.atMs);
    while (due.length > 0 && this.open.size > 0) {
      const elapsedMs = performance.now() - startedAtMs;
      while ((due.at(-1)?.atMs ?? Infinity) <= elapsedMs) this.shutdown(due.pop()?.connection);
      if (due.length > 0) await delay(STEP_MS);
    }
    await this.settle();
  }

  private shutdown(connection: Drainable | undefined): void {
    if (connection && this.open.has(connection)) connection.shutdown();
  }

  private async settle(): Promise<void> {
    const untilMs = performance.now() + GRACE_MS;
    while (this.open.size > 0 && performance.now() < untilMs) await delay(STEP_MS);
    for (const connection of this.open) connection.terminate();
    this.open.clear();
  }
}

/** The refusal of new streams and waiting polls while the process shuts down; retryable. */
export function drainingError(): TaskBridgeError {
  return new TaskBridgeError('SERVICE_UNAVAILABLE', 'This instance is shutting down: connect again', {
    details: { retryAfterSeconds: RETRY_AFTER_SECONDS },
  });
}
