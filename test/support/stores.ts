import type { DataSource } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { type MetricsSink, NoMetrics } from '../../lib/observability/metrics-sink.js';
import { AfterCommit } from '../../lib/stores/after-commit.js';
import { AnswerSchemas } from '../../lib/stores/answer-schemas.js';
import { AppendLane } from '../../lib/stores/append-lane.js';
import { PostgresAttachmentStore } from '../../lib/stores/postgres-attachment.store.js';
import type { LogEvent, TaskRecord } from '../../lib/stores/records.js';
import type { NewTask } from '../../lib/stores/task-registry.js';
import { TaskLeaseStore } from '../../lib/stores/task-lease.store.js';
import { TypeOrmActionReceiptStore } from '../../lib/stores/typeorm-action-receipt.store.js';
import { TypeOrmEventStore } from '../../lib/stores/typeorm-event.store.js';
import { TypeOrmSuspensionStore } from '../../lib/stores/typeorm-suspension.store.js';
import { TypeOrmTaskRegistry } from '../../lib/stores/typeorm-task-registry.js';
import { type WakeUpHandlers, WakeUps, type WorkKind } from '../../lib/streams/wake-ups.js';
import type { TaskBridgeRuntimeOptions } from '../../lib/taskbridge.options.js';
import { resolveSettings } from '../../lib/taskbridge.settings.js';

/** Wake-ups within this process only, and a record of what was published. */
export class LocalWakeUps extends WakeUps {
  readonly events: LogEvent[] = [];
  readonly hints: string[] = [];
  readonly work: [WorkKind, string][] = [];
  private readonly handlers = new Set<Partial<WakeUpHandlers>>();

  get subscribers(): number {
    return this.handlers.size;
  }

  publishEvents(events: readonly LogEvent[]): void {
    this.events.push(...events);
    for (const event of events) for (const { onEvents } of this.handlers) onEvents?.([event]);
  }

  publishHint(taskId: string): void {
    this.hints.push(taskId);
    for (const { onHint } of this.handlers) onHint?.(taskId);
  }

  publishWork(kind: WorkKind, taskId: string): void {
    this.work.push([kind, taskId]);
    for (const { onWork } of this.handlers) onWork?.(kind, taskId);
  }

  subscribe(handlers: Partial<WakeUpHandlers>): () => void {
    this.handlers.add(handlers);
    return () => this.handlers.delete(handlers);
  }
}

/** The library's stores as one process has them. */
export interface TestStores {
  readonly dataSource: DataSource;
  readonly wakeUps: LocalWakeUps;
  readonly lane: AppendLane;
  readonly afterCommit: AfterCommit;
  readonly registry: TypeOrmTaskRegistry;
  readonly events: TypeOrmEventStore;
  readonly receipts: TypeOrmActionReceiptStore;
  readonly suspensions: TypeOrmSuspensionStore;
  readonly attachments: PostgresAttachmentStore;
  readonly leases: TaskLeaseStore;
  /** Flushes and ends the lane; the DataSource stays open. */
  readonly close: () => Promise<void>;
}

/** Stores over one DataSource; several of them over one database act as several processes. */
export function createTestStores(
  dataSource: DataSource,
  options: TaskBridgeRuntimeOptions = {},
  metrics: MetricsSink = new NoMetrics(),
): TestStores {
  const settings = resolveSettings({}, options);
  const wakeUps = new LocalWakeUps();
  const lane = new AppendLane(dataSource, settings, wakeUps, metrics);
  const afterCommit = new AfterCommit(dataSource);
  const events = new TypeOrmEventStore(dataSource, settings, lane, afterCommit, wakeUps, metrics);
  const receipts = new TypeOrmActionReceiptStore(dataSource);
  const schemas = new AnswerSchemas();
  return {
    dataSource,
    wakeUps,
    lane,
    afterCommit,
    registry: new TypeOrmTaskRegistry(dataSource),
    events,
    receipts,
    suspensions: new TypeOrmSuspensionStore(dataSource, events, receipts, schemas, afterCommit, wakeUps),
    attachments: new PostgresAttachmentStore(dataSource),
    leases: new TaskLeaseStore(dataSource),
    close: async () => {
      await lane.close();
      afterCommit.onApplicationShutdown();
    },
  };
}

/** A creation with every member set; the id and the key are new each time. */
export function newTask(members: Partial<NewTask> = {}): NewTask {
  const taskId = uuidv7();
  return {
    taskId,
    ownerId: 'ann',
    appId: null,
    clientRequestId: taskId,
    taskType: 'demo',
    input: {},
    metadata: {},
    requestHash: 'hash',
    deadlineMs: null,
    traceparent: null,
    submissionClaimMs: 30_000,
    ...members,
  };
}

/** A task that nothing has happened to. */
export async function createTask({ registry }: TestStores, members: Partial<NewTask> = {}): Promise<TaskRecord> {
  const { task } = await registry.createTask(newTask(members));
  return task;
}

/** A RUNNING task with its one attempt. */
export async function startTask(stores: TestStores): Promise<{ taskId: string; attempt: number }> {
  const { taskId } = await createTask(stores);
  const attempt = await stores.leases.beginAttempt(taskId);
  await stores.events.append({ taskId, type: 'TASK_STARTED', payload: {}, attempt, appendNo: 1 });
  return { taskId, attempt };
}
