import type { Provider } from '@nestjs/common';
import { HandlerTaskExecutor } from './handler-task-executor.js';
import { LeaseKeeper } from './lease-keeper.js';
import { LeaseRecovery } from './lease-recovery.js';
import { RunClaims } from './run-claims.js';
import { RunPool } from './run-pool.js';
import { RunPorts } from './run-ports.js';
import { TaskHandlerRegistry } from './task-handler.registry.js';

export { HandlerTaskExecutor } from './handler-task-executor.js';
export { TaskHandler } from './task-handler.decorator.js';

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
