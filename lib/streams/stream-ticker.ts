import { Inject, Injectable } from '@nestjs/common';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';

/** Something with time limits of its own. */
export interface Ticking {
  /** Called a few times per shortest limit; `nowMs` is of `performance.now()`. */
  tick(nowMs: number): void;
}

const MIN_TICK_MS = 10;
const MAX_TICK_MS = 250;

/**
 * The one timer behind heartbeats, stall checks, subscribe limits, waiting polls and the backstop poll: connections own
 * none. It runs only while something is registered, and never keeps the process alive.
 */
@Injectable()
export class StreamTicker {
  private readonly members = new Set<Ticking>();
  private readonly tickMs: number;
  private timer: NodeJS.Timeout | undefined;

  constructor(@Inject(TASKBRIDGE_SETTINGS) settings: TaskBridgeSettings) {
    this.tickMs = Math.min(MAX_TICK_MS, Math.max(MIN_TICK_MS, Math.floor(shortestLimitMs(settings) / 4)));
  }

  /** How many are registered; 0 means that the timer is off. */
  get size(): number {
    return this.members.size;
  }

  add(member: Ticking): void {
    this.members.add(member);
    this.timer ??= setInterval(() => this.tickAll(), this.tickMs).unref();
  }

  /** Members may remove themselves, or others, during a tick. */
  remove(member: Ticking): void {
    this.members.delete(member);
    if (this.members.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private tickAll(): void {
    const nowMs = performance.now();
    for (const member of this.members) member.tick(nowMs);
  }
}

function shortestLimitMs({ streams, webSocket }: TaskBridgeSettings): number {
  return Math.min(
    streams.sse.heartbeatIntervalMs,
    streams.sse.stallTimeoutMs,
    streams.webSocket.heartbeatIntervalMs,
    streams.webSocket.stallTimeoutMs,
    streams.backstopPollMs,
    streams.deafPollMs,
    webSocket.subscribeTimeoutMs,
  );
}
