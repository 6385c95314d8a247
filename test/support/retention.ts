import { Readable } from 'node:stream';
import type { DataSource } from 'typeorm';
import { type MetricsSink, NoMetrics } from '../../lib/observability/metrics-sink.js';
import type { RetentionReport } from '../../lib/services/retention-report.js';
import { TaskRetentionService } from '../../lib/services/task-retention.service.js';
import { tableNames } from '../../lib/stores/table-names.js';
import { TaskRetentionStore } from '../../lib/stores/task-retention.store.js';
import type { TaskBridgeRuntimeOptions } from '../../lib/taskbridge.options.js';
import { resolveSettings } from '../../lib/taskbridge.settings.js';
import { answerTo } from './answers.js';
import { createTask, type TestStores } from './stores.js';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** The service of one process over these stores. */
export function retentionOf(
  stores: TestStores,
  retention: TaskBridgeRuntimeOptions['retention'],
  attachments = stores.attachments,
  metrics: MetricsSink = new NoMetrics(),
): TaskRetentionService {
  const settings = resolveSettings({}, { retention: { pauseMs: 0, ...retention } });
  const store = new TaskRetentionStore(stores.dataSource);
  return new TaskRetentionService(settings, stores.receipts, attachments, metrics, store);
}

export interface SeedOptions {
  taskType?: string;
  /** Progress events between the start and the end. */
  progress?: number;
  /** Asks this many questions, and answers all of them but the last. */
  questions?: number;
  /** Content of one attachment each. */
  files?: string[];
  /** `false` leaves the task open. */
  end?: boolean;
  /** Moves its end, and the times of its events, into the past. */
  ageMs?: number;
}

/** A task with a log of its own, made by the stores like any other. */
export async function seedTask(stores: TestStores, options: SeedOptions = {}): Promise<string> {
  const { taskType = 'demo', progress = 0, questions = 0, files = [], end = true, ageMs = 0 } = options;
  const { taskId } = await createTask(stores, { taskType });
  await Promise.all(files.map((content, index) => attach(stores, taskId, content, index)));
  const attempt = await stores.leases.beginAttempt(taskId);
  const { events } = stores;
  await events.append({ taskId, type: 'TASK_STARTED', payload: {}, attempt });
  const percents = Array.from({ length: progress }, (_, index) => index % 100);
  await Promise.all(
    percents.map((percent) =>
      events.append({ taskId, type: 'TASK_PROGRESS', payload: { progress: percent }, attempt }),
    ),
  );
  for (let index = 0; index < questions; index += 1) {
    const suspendId = `q${index}`;
    const requests = [{ suspendId, reasonCode: 'R', allowedActions: ['go'] }];
    await stores.suspensions.openSuspensions({ taskId, attempt, requests });
    if (index === questions - 1) break;
    await stores.suspensions.acceptActionIfOpen(answerTo(taskId, { suspendId, clientActionId: `a${index}` }));
  }
  if (end) await events.append({ taskId, type: 'TASK_COMPLETED', payload: { result: 'done' }, attempt });
  if (ageMs > 0) await makeOlder(stores.dataSource, taskId, ageMs);
  return taskId;
}

async function attach({ attachments }: TestStores, taskId: string, content: string, position: number): Promise<void> {
  const upload = { name: `${position}.txt`, contentType: 'text/plain', position, content: Readable.from([content]) };
  await attachments.bind(taskId, [await attachments.stage(upload)]);
}

/** Moves a task's end and its events into the past. */
export async function makeOlder(dataSource: DataSource, taskId: string, ageMs: number): Promise<void> {
  const { tasks, events } = tableNames(dataSource);
  const earlier = `- $2::float8 * interval '1 millisecond'`;
  await dataSource.query(`update ${tasks} set finished_at = finished_at ${earlier} where task_id = $1`, [
    taskId,
    ageMs,
  ]);
  await dataSource.query(`update ${events} set created_at = created_at ${earlier} where task_id = $1`, [taskId, ageMs]);
}

/** Finished tasks in bulk, each with a start, progress and an end. */
export async function seedFinished(
  dataSource: DataSource,
  { count, events, ageMs, taskType = 'bulk' }: { count: number; events: number; ageMs: number; taskType?: string },
): Promise<void> {
  const t = tableNames(dataSource);
  const ended = `date_trunc('milliseconds', clock_timestamp() - $3::float8 * interval '1 millisecond')`;
  await dataSource.query(
    `with made as (
       insert into ${t.tasks} (task_id, owner_id, client_request_id, request_hash, task_type, status, input, metadata,
         last_seq, submission_state, started_at, finished_at)
       select gen_random_uuid(), 'bulk', gen_random_uuid()::text, '', $4, 2, '{}', '{}', $2::int, 2, ${ended}, ${ended}
       from generate_series(1, $1::int) returning task_id)
     insert into ${t.events} (task_id, seq, type, created_at, payload)
     select m.task_id, n, case n when 1 then 0 when $2::int then 5 else 1 end, ${ended},
       case n when $2::int then '{"result":null}'::json else '{"progress":1}'::json end
     from made m cross join generate_series(1, $2::int) n`,
    [count, events, ageMs, taskType],
  );
}

/** How many rows there are; attachments without their content count as well. */
export interface Stored {
  tasks: number;
  events: number;
  receipts: number;
  suspensions: number;
  attachments: number;
  chunks: number;
}

export async function storedRows(dataSource: DataSource, taskId?: string): Promise<Stored> {
  const t = tableNames(dataSource);
  const of = taskId === undefined ? '' : ` where task_id = '${taskId}'`;
  const [row] = await dataSource.query<Stored[]>(
    `select (select count(*)::int from ${t.tasks}${of}) as tasks, (select count(*)::int from ${t.events}${of}) as events,
       (select count(*)::int from ${t.receipts}${of}) as receipts,
       (select count(*)::int from ${t.suspensions}${of}) as suspensions,
       (select count(*)::int from ${t.attachments}${of}) as attachments,
       (select count(*)::int from ${t.attachmentChunks} c join ${t.attachments} a using (attachment_id)${of}) as chunks`,
  );
  if (row === undefined) throw new Error('no row');
  return row;
}

/** A report of nothing, with these members. */
export function reported(members: Partial<RetentionReport> = {}): RetentionReport {
  return {
    dryRun: false,
    tasks: 0,
    tasksByType: {},
    events: 0,
    attachments: 0,
    receipts: 0,
    suspensions: 0,
    trimmedLogs: 0,
    trimmedEvents: 0,
    ...members,
  };
}

export const GONE: Stored = { tasks: 0, events: 0, receipts: 0, suspensions: 0, attachments: 0, chunks: 0 };
