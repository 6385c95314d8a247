import type { IncomingMessage } from 'node:http';
import { TaskBridgeError } from '../taskbridge.errors.js';
import type { TaskRecord } from '../stores/records.js';
import type { AuthContext } from './auth-context.js';

const identities = new WeakMap<IncomingMessage, AuthContext>();
const tasks = new WeakMap<IncomingMessage, TaskRecord>();

/** The identity that `TaskAuthGuard` found for this request; throws `AUTHENTICATION_ERROR` when no guard left one. */
export function requestAuth(raw: IncomingMessage): AuthContext {
  const auth = identities.get(raw);
  if (!auth) throw new TaskBridgeError('AUTHENTICATION_ERROR', 'The request is not authenticated');
  return auth;
}

/** For a host's own `TaskAuthGuard`: leaves the identity to the routes behind it. */
export function setRequestAuth(raw: IncomingMessage, auth: AuthContext): void {
  identities.set(raw, auth);
}

/** The task that `TaskOwnershipGuard` loaded, as of the check; `undefined` on routes without a task. */
export function requestTask(raw: IncomingMessage): TaskRecord | undefined {
  return tasks.get(raw);
}

/** For a host's own `TaskOwnershipGuard`: spares the routes behind it from loading the task again. */
export function setRequestTask(raw: IncomingMessage, task: TaskRecord): void {
  tasks.set(raw, task);
}

/** For streams, which outlive their request's work: a task's input may be large, and a stream does not need it. */
export function forgetRequestTask(raw: IncomingMessage): void {
  tasks.delete(raw);
}
