import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import type { TaskBridgeSettings } from '../taskbridge.options.js';
import { TASKBRIDGE_SETTINGS } from '../taskbridge.tokens.js';
import { TASK_HANDLER_METADATA, type TaskHandlerMetadata } from './task-handler.decorator.js';
import type { TaskRunner } from './task-handler.js';

/** One handler with its options' defaults filled in. */
export interface RegisteredHandler {
  readonly taskType: string;
  readonly name: string;
  readonly runner: TaskRunner;
  readonly concurrency: number;
  readonly onInterrupted: 'retry' | 'fail';
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly deadlineMs: number | undefined;
}

type ProviderWrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** The app's `@TaskHandler` classes by task type; found once, at boot, which two handlers of one type fail. */
@Injectable()
export class TaskHandlerRegistry implements OnModuleInit {
  private found: ReadonlyMap<string, RegisteredHandler> | undefined;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
    @Inject(TASKBRIDGE_SETTINGS) private readonly settings: TaskBridgeSettings,
  ) {}

  onModuleInit(): void {
    this.all();
  }

  find(taskType: string): RegisteredHandler | undefined {
    return this.byType().get(taskType);
  }

  all(): readonly RegisteredHandler[] {
    return [...this.byType().values()];
  }

  /** Other modules' `onModuleInit` may ask before ours has run. */
  private byType(): ReadonlyMap<string, RegisteredHandler> {
    this.found ??= this.discover();
    return this.found;
  }

  private discover(): ReadonlyMap<string, RegisteredHandler> {
    const handlers = new Map<string, RegisteredHandler>();
    for (const wrapper of this.discovery.getProviders()) {
      const handler = this.register(wrapper);
      if (handler === undefined) continue;
      const other = handlers.get(handler.taskType);
      if (other !== undefined && other.runner !== handler.runner) {
        throw new Error(
          `Task type "${handler.taskType}" has two handlers: ${other.name} and ${handler.name}. Remove one, or provide the class in one module only.`,
        );
      }
      handlers.set(handler.taskType, handler);
    }
    return handlers;
  }

  private register(wrapper: ProviderWrapper): RegisteredHandler | undefined {
    const target = typeof wrapper.metatype === 'function' ? wrapper.metatype : undefined;
    const metadata = target && this.reflector.get<TaskHandlerMetadata | undefined>(TASK_HANDLER_METADATA, target);
    if (target === undefined || metadata === undefined) return undefined;
    const { taskType, options } = metadata;
    const runner: unknown = wrapper.instance;
    if (!wrapper.isDependencyTreeStatic() || !isRunner(runner)) {
      throw new Error(`The handler ${target.name} of "${taskType}" must be a singleton provider with a run method`);
    }
    const { concurrency = this.settings.execution.concurrency, deadlineMs } = options;
    const { onInterrupted = 'retry', maxAttempts = 3, backoffMs = 1_000 } = options;
    if (!(concurrency >= 1 && maxAttempts >= 1 && backoffMs >= 0)) {
      throw new Error(`The handler ${target.name} needs a concurrency and maxAttempts from 1 and a backoffMs from 0`);
    }
    return { taskType, name: target.name, runner, concurrency, onInterrupted, maxAttempts, backoffMs, deadlineMs };
  }
}

function isRunner(value: unknown): value is TaskRunner {
  return typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function';
}
