import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import type { TaskHandlerOptions } from './task-handler.js';

/** Metadata key under which `@TaskHandler` keeps the task type and its options. */
export const TASK_HANDLER_METADATA = '@taskbridge/nestjs:task-handler';

export interface TaskHandlerMetadata {
  taskType: string;
  options: TaskHandlerOptions;
}

/**
 * Makes a provider the handler of one task type; the class implements `TaskRunner`. It must be a singleton provided in
 * any module of the app. Two handlers of one type fail the boot.
 */
export function TaskHandler(taskType: string, options: TaskHandlerOptions = {}): ClassDecorator {
  const metadata: TaskHandlerMetadata = { taskType, options };
  return applyDecorators(Injectable(), SetMetadata(TASK_HANDLER_METADATA, metadata));
}
