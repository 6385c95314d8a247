import type { Provider } from '@nestjs/common';
import { TaskCancellationReconciliationService } from '../services/task-cancellation-reconciliation.service.js';
import { TaskDeadlineService } from '../services/task-deadline.service.js';
import { TaskResumeReconciliationService } from '../services/task-resume-reconciliation.service.js';
import { TaskScheduler } from '../services/task-scheduler.js';
import { TaskSubmissionReconciliationService } from '../services/task-submission-reconciliation.service.js';
import { HandlerTaskExecutor } from './handler-task-executor.js';
import { LeaseKeeper } from './lease-keeper.js';
import { LeaseRecovery } from './lease-recovery.js';
import { RunClaims } from './run-claims.js';
import { RunPool } from './run-pool.js';
import { RunPorts } from './run-ports.js';
import { TaskHandlerRegistry } from './task-handler.registry.js';

export { HandlerTaskExecutor } from './handler-task-executor.js';
export { TaskHandler } from './task-handler.decorator.js';

/** What a process needs beside its executor: the upkeep of hand-offs, questions and deadlines. */
export const EXECUTION_PROVIDERS: readonly Provider[] = [
  TaskSubmissionReconciliationService,
  TaskResumeReconciliationService,
  TaskCancellationReconciliationService,
  TaskDeadlineService,
  TaskScheduler,
];

/** `HandlerTaskExecutor` with its parts; needs Nest's `DiscoveryModule`. */
export const HANDLER_EXECUTOR_PROVIDERS: readonly Provider[] = [
  TaskHandlerRegistry,
  RunPorts,
  RunPool,
  LeaseKeeper,
  RunClaims,
  LeaseRecovery,
  HandlerTaskExecutor,
];
