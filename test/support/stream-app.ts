import { type Abstract, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { TaskEventPayloads, TaskEventType } from '@taskbridge/protocol';
import type { FastifyInstance } from 'fastify';
import { v7 as uuidv7 } from 'uuid';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { type AuthContext, AuthContextResolver, type AuthRequest } from '../../lib/security/auth-context.js';
import { WebSocketSubscriptionService } from '../../lib/services/websocket-subscription.service.js';
import { EventStore } from '../../lib/stores/event.store.js';
import { TaskRegistry } from '../../lib/stores/task-registry.js';
import { PostgresWakeUps, StreamDrain } from '../../lib/streams/index.js';
import { StreamTicker } from '../../lib/streams/stream-ticker.js';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { openTestDatabase } from './database.js';
import { SseClient, type SseRequest } from './sse-client.js';
import { WebSocketClient } from './websocket-client.js';

/** `Authorization: Bearer <name>` is subject `<name>`. */
export class BearerNames extends AuthContextResolver {
  resolve({ headers }: AuthRequest): AuthContext | null {
    const subject = /^Bearer (\w+)$/.exec(headers.authorization ?? '')?.[1];
    return subject === undefined ? null : { subject, scopes: [], appId: null, attributes: {} };
  }
}

export interface StreamAppOptions {
  taskBridge?: TaskBridgeOptions;
  /** Runs before the application is initialised. */
  prepare?(app: NestFastifyApplication, fastify: FastifyInstance): Promise<void> | void;
  /** The host's own providers, gateways for instance. */
  providers?: Type[];
}

/** What is left of streams in an application, by kind; all zero when everything was let go of. */
export interface Leftovers {
  followers: number;
  watchedTasks: number;
  drainables: number;
  ticking: number;
}

/** A Nest application with nothing but the module: it listens on a port of its own and runs no tasks itself. */
export class StreamApp {
  private constructor(
    readonly app: NestFastifyApplication,
    readonly origin: string,
  ) {}

  static async open(database: { url: string }, options: StreamAppOptions = {}): Promise<StreamApp> {
    class Host {}
    const { reconciliation, ...taskBridge } = options.taskBridge ?? {};
    Module({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: [...TASKBRIDGE_ENTITIES] }),
        TaskBridgeModule.forRoot({
          execution: false,
          authContextResolver: BearerNames,
          reconciliation: { enabled: false, ...reconciliation },
          shutdown: { drainWindowMs: 50 },
          ...taskBridge,
        }),
      ],
      providers: options.providers ?? [],
    })(Host);
    const adapter = new FastifyAdapter();
    const app = await NestFactory.create<NestFastifyApplication>(Host, adapter, { logger: false, abortOnError: false });
    await options.prepare?.(app, adapter.getInstance());
    await app.listen(0, '127.0.0.1');
    return new StreamApp(app, await app.getUrl());
  }

  get<T>(token: Type<T> | Abstract<T>): T {
    return this.app.get(token, { strict: false });
  }

  close(): Promise<void> {
    return this.app.close();
  }

  /** A task that nobody runs; its log is what the test appends. */
  async createTask(ownerId = 'ada'): Promise<string> {
    const { task } = await this.get(TaskRegistry).createTask({
      taskId: uuidv7(),
      ownerId,
      appId: null,
      clientRequestId: uuidv7(),
      taskType: 'test',
      input: {},
      metadata: {},
      requestHash: 'test',
      deadlineMs: null,
      traceparent: null,
      submissionClaimMs: 3_600_000,
    });
    return task.taskId;
  }

  async append<T extends TaskEventType>(taskId: string, type: T, payload: TaskEventPayloads[T]): Promise<number> {
    return (await this.get(EventStore).append<T>({ taskId, type, payload, attempt: 0 })).seq;
  }

  start(taskId: string): Promise<number> {
    return this.append(taskId, 'TASK_STARTED', {});
  }

  progress(taskId: string, percent: number, message = ''): Promise<number> {
    return this.append(taskId, 'TASK_PROGRESS', { progress: percent, message });
  }

  complete(taskId: string, result: unknown = null): Promise<number> {
    return this.append(taskId, 'TASK_COMPLETED', { result });
  }

  /** A started task with `count` events, all of them appended together. */
  async taskWith(count: number, ownerId = 'ada'): Promise<string> {
    const taskId = await this.createTask(ownerId);
    await Promise.all([this.start(taskId), ...this.progressMany(taskId, count - 1)]);
    return taskId;
  }

  progressMany(taskId: string, count: number): Promise<number>[] {
    return Array.from({ length: count }, (_, index) => this.progress(taskId, index % 100));
  }

  streamUrl(taskId: string): string {
    return `${this.origin}/api/v1/tasks/${taskId}/events/stream`;
  }

  get webSocketUrl(): string {
    return `${this.origin.replace('http', 'ws')}/api/v1/tasks/ws`;
  }

  sse(taskId: string, request: SseRequest = {}): SseClient {
    const headers = { authorization: 'Bearer ada', ...request.headers };
    return new SseClient(this.streamUrl(taskId), { ...request, headers });
  }

  /** A connection that has not subscribed yet. */
  webSocket(headers: Record<string, string> = { authorization: 'Bearer ada' }): WebSocketClient {
    return new WebSocketClient(this.webSocketUrl, headers);
  }

  async subscribe(taskId: string, lastEventId?: string | null, more: object = {}): Promise<WebSocketClient> {
    const client = this.webSocket();
    await client.opened;
    client.send({ action: 'subscribe', taskId, ...(lastEventId !== undefined && { lastEventId }), ...more });
    return client;
  }

  leftovers(): Leftovers {
    const { openFollowers, watchedTasks } = this.get(WebSocketSubscriptionService);
    return {
      followers: openFollowers,
      watchedTasks,
      drainables: this.get(StreamDrain).size,
      ticking: this.get(StreamTicker).size,
    };
  }

  get wakeUpSubscribers(): number {
    return this.get(PostgresWakeUps).subscriberCount;
  }
}

export const NOTHING_LEFT: Leftovers = { followers: 0, watchedTasks: 0, drainables: 0, ticking: 0 };

/** An application on a database of its own, for the time of `work`. */
export async function withStreamApp(
  options: StreamAppOptions,
  work: (app: StreamApp, database: { url: string }) => Promise<void>,
): Promise<void> {
  const { database, close } = await openTestDatabase();
  const app = await StreamApp.open(database, options);
  try {
    await work(app, database);
  } finally {
    await app.close();
    await close();
  }
}
