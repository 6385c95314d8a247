import { SetMetadata, type ExecutionContext } from '@nestjs/common';
import type { RequestTransport } from './auth-context.js';
import type { TaskAccess } from './ownership-policy.js';

const TASK_ROUTE = '@taskbridge/nestjs:task-route';

export interface TaskRouteFacts {
  /** What the caller wants with the task of `:taskId`. */
  access: TaskAccess;
  transport: RequestTransport;
}

const PLAIN_READ: TaskRouteFacts = { access: 'read', transport: 'http' };

/** Tells the guards what a route handler is for; a handler without it reads over plain HTTP. */
export const TaskRoute = (facts: Partial<TaskRouteFacts>): MethodDecorator =>
  SetMetadata(TASK_ROUTE, { ...PLAIN_READ, ...facts });

/** The facts of the handler that an execution context leads to. */
export function taskRouteFacts(context: ExecutionContext): TaskRouteFacts {
  const facts: unknown = Reflect.getMetadata(TASK_ROUTE, context.getHandler());
  return isFacts(facts) ? facts : PLAIN_READ;
}

function isFacts(value: unknown): value is TaskRouteFacts {
  return typeof value === 'object' && value !== null && 'access' in value && 'transport' in value;
}
