import type { Type } from '@nestjs/common';
import { TaskReporter } from '../../lib/services/task-reporter.js';
import type { TaskAttempt } from '../../lib/services/task-attempt.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { PostgresWakeUps } from '../../lib/streams/index.js';
import { eventually } from '../../test/support/eventually.js';
import { StreamApp } from '../../test/support/stream-app.js';
import type { BenchContext } from './bench.js';
import { benchPayload } from './payload.js';

/** An instance in this process, closed when the benchmark has ended: without logs, reconciliation and, unless told, executor. */
export async function openInstance(
  context: BenchContext,
  database: { url: string },
  taskBridge: TaskBridgeOptions = {},
  providers: Type[] = [],
): Promise<StreamApp> {
  const app = await StreamApp.open(database, { taskBridge, providers });
  context.defer(() => app.close());
  return app;
}

/** Until then an instance notifies others, there or not, which takes time from what is measured. */
export async function untilAlone({ size }: BenchContext, app: StreamApp): Promise<void> {
  if (size === 'full') await eventually(() => app.get(PostgresWakeUps).isAlone, 60_000);
}

/** The one reporter of each task's first attempt. */
export function attemptsOf(app: StreamApp, taskIds: readonly string[]): TaskAttempt[] {
  const reporter = app.get(TaskReporter);
  return taskIds.map((taskId) => reporter.numbered(taskId, 1));
}

/** One report of about 170 bytes. */
export function reportTo(attempt: TaskAttempt | undefined, text?: string): Promise<unknown> {
  const { progress, stage, message } = benchPayload(text);
  return attempt?.progress(progress, { stage, message }) ?? Promise.reject(new Error('There is no such task'));
}
