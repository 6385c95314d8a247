import { type Abstract, Module, type Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { v7 as uuidv7 } from 'uuid';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { TaskHandler } from '../../lib/executors/task-handler.decorator.js';
import type { TaskHandlerOptions, TaskRunner } from '../../lib/executors/task-handler.js';
import type { CancelTaskResult, SubmitActionResult, TaskCreateCommand } from '../../lib/services/commands.js';
import { TaskActionService } from '../../lib/services/task-action.service.js';
import { TaskCancellationService } from '../../lib/services/task-cancellation.service.js';
import { TaskCreationService } from '../../lib/services/task-creation.service.js';
import { EventStore } from '../../lib/stores/event.store.js';
import type { JsonObject, TaskRecord } from '../../lib/stores/records.js';
import { TaskRegistry } from '../../lib/stores/task-registry.js';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { type LogEntry, readLog, waitForEnd, waitForLog } from '../../lib/testing/index.js';

const SILENT = { log: () => undefined, warn: () => undefined, error: () => undefined };

/** One process of an app, as far as a test can tell: a container of its own on a database that others share. */
export class TaskInstance {
  private constructor(private readonly app: { get<T>(token: Type<T> | Abstract<T>): T; close(): Promise<void> }) {}

  static async open(
    database: { url: string },
    handlers: readonly Type[],
    options: TaskBridgeOptions = {},
  ): Promise<TaskInstance> {
    class App {}
    Module({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: [...TASKBRIDGE_ENTITIES] }),
        TaskBridgeModule.forRoot({ http: false, webSocket: false, ...options }),
      ],
      providers: [...handlers],
    })(App);
    const app = await Test.createTestingModule({ imports: [App] })
      .setLogger(SILENT)
      .compile();
    try {
      await app.init();
    } catch (error) {
      await app.close();
      throw error;
    }
    return new TaskInstance(app);
  }

  get<T>(token: Type<T> | Abstract<T>): T {
    return this.app.get(token);
  }

  close(): Promise<void> {
    return this.app.close();
  }

  /** The new task's id. */
  async create(taskType: string, input: JsonObject = {}, extra: Partial<TaskCreateCommand> = {}): Promise<string> {
    const auth = { subject: 'ada', scopes: [], appId: null, attributes: {} };
    const command = { auth, clientRequestId: uuidv7(), taskType, input, ...extra };
    return (await this.get(TaskCreationService).createTask(command)).taskId;
  }

  answer(taskId: string, suspendId: string, actionType = 'go', payload?: JsonObject): Promise<SubmitActionResult> {
    const command = { taskId, clientActionId: uuidv7(), suspendId, actionType, payload, acceptedBy: 'grace' };
    return this.get(TaskActionService).submitAction(command);
  }

  cancel(taskId: string, reason?: string): Promise<CancelTaskResult> {
    return this.get(TaskCancellationService).cancelTask({ taskId, reason });
  }

  async task(taskId: string): Promise<TaskRecord> {
    const task = await this.get(TaskRegistry).getTask(taskId);
    if (task === undefined) throw new Error(`Task ${taskId} is missing`);
    return task;
  }

  log(taskId: string): Promise<LogEntry[]> {
    return readLog(this.get(EventStore), taskId);
  }

  /** The whole log, once the task has ended. */
  end(taskId: string, limitMs?: number): Promise<LogEntry[]> {
    return waitForEnd(this.get(EventStore), taskId, limitMs);
  }

  until(taskId: string, condition: (log: readonly LogEntry[]) => boolean, limitMs?: number): Promise<LogEntry[]> {
    return waitForLog(this.get(EventStore), taskId, condition, limitMs);
  }

  /** The suspend ids of the first `count` questions, once they are asked. */
  async questions(taskId: string, count = 1): Promise<string[]> {
    const log = await this.until(taskId, (entries) => questionsOf(entries).length >= count);
    return questionsOf(log);
  }
}

function questionsOf(log: readonly LogEntry[]): string[] {
  return log.filter(({ type }) => type === 'TASK_SUSPENDED').map(({ payload }) => String(payload.suspendId));
}

/** A handler class made of functions. */
export function handler(taskType: string, runner: TaskRunner, options?: TaskHandlerOptions): Type {
  class ScriptedHandler implements TaskRunner {
    run = runner.run.bind(runner);
    resume = runner.resume?.bind(runner);
  }
  TaskHandler(taskType, options)(ScriptedHandler);
  return ScriptedHandler;
}

export function typesOf(log: readonly LogEntry[]): string[] {
  return log.map(({ type }) => type);
}

/** Resolves when the condition holds; rejects after the limit. */
export async function eventually(condition: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const giveUpAt = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > giveUpAt)
      throw new Error(`The condition did not hold within ${limitMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A promise that a test settles. */
export function gate(): { opened: Promise<void>; open(): void } {
  const parts: { open?: () => void } = {};
  const opened = new Promise<void>((resolve) => {
    parts.open = resolve;
  });
  return { opened, open: () => parts.open?.() };
}

/** Settles when the signal is aborted, with its reason. */
export function aborted(signal: AbortSignal): Promise<unknown> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(signal.reason);
    else signal.addEventListener('abort', () => resolve(signal.reason), { once: true });
  });
}
