import type { TaskEvent } from '@taskbridge/protocol';
import { eventually } from './eventually.js';
import { WebSocketClient } from './websocket-client.js';
import { type WireSchema, WireValidator } from './wire-validator.js';

const SCHEMAS: Readonly<Record<string, WireSchema>> = {
  SUBSCRIPTION_CONFIRMED: 'websocket-subscription-confirmed',
  SUBSCRIPTION_ENDED: 'websocket-subscription-ended',
  HEARTBEAT: 'websocket-multiplex-heartbeat',
  GAP: 'websocket-gap',
};

/** A client of a multiplexed connection. */
export class MultiplexClient extends WebSocketClient {
  async ready(): Promise<this> {
    await this.opened;
    return this;
  }

  subscribe(taskId: string, more: object = {}): this {
    this.send({ action: 'subscribe', taskId, multiplex: true, ...more });
    return this;
  }

  unsubscribe(taskId: string): this {
    this.send({ action: 'unsubscribe', taskId });
    return this;
  }

  of(taskId: string): Record<string, unknown>[] {
    return this.frames.filter((frame) => frame['taskId'] === taskId);
  }

  seqsOf(taskId: string): number[] {
    const events = this.events.filter((event: TaskEvent) => event.taskId === taskId);
    return events.map(({ eventId }) => Number.parseInt(eventId, 10));
  }

  /** The ends of this task's subscriptions, once there are `count` of them: each reason, with its code where it has one. */
  async ends(taskId: string, count = 1): Promise<string[]> {
    const ended = () => this.of(taskId).filter(({ type }) => type === 'SUBSCRIPTION_ENDED');
    await eventually(() => ended().length >= count);
    return ended().map(({ reason, error }) => [reason, (error as { code: string } | undefined)?.code].join(' ').trim());
  }

  /** Throws unless every frame is one of a multiplexed connection. */
  assertFrames(wire = new WireValidator()): void {
    for (const frame of this.frames) {
      const type = String(frame['type']);
      wire.frame(type.startsWith('TASK_') ? 'task-event' : (SCHEMAS[type] ?? 'task-event'), frame);
    }
  }
}
