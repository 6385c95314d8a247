import { isTaskId } from '@taskbridge/protocol';
import { TaskBridgeClientError } from './errors.js';
import { given, type Given } from './given.js';

/** Where everything is, as paths on `baseUrl` or as whole addresses. Task ids need no escaping: others never get here. */
export interface TaskRoutes {
  /** Create and list. */
  tasks(): string;
  task(taskId: string): string;
  events(taskId: string): string;
  stream(taskId: string): string;
  actions(taskId: string): string;
  cancel(taskId: string): string;
  tickets(taskId: string): string;
  webSocket(): string;
}

/** The server's own layout below a path of the host's choice. */
export function taskRoutes(tasksPath = '/api/v1/tasks', webSocketPath = `${tasksPath}/ws`): TaskRoutes {
  const ofTask =
    (name = '') =>
    (taskId: string) =>
      `${tasksPath}/${taskId}${name}`;
  return {
    tasks: () => tasksPath,
    task: ofTask(),
    events: ofTask('/events'),
    stream: ofTask('/events/stream'),
    actions: ofTask('/actions'),
    cancel: ofTask('/cancel'),
    tickets: ofTask('/tickets'),
    webSocket: () => webSocketPath,
  };
}

/** The routes of a host, the server's own where it says nothing; what cannot be a task's id is not asked for. */
export function checkedRoutes(own?: Given<TaskRoutes>): TaskRoutes {
  const routes: TaskRoutes = { ...taskRoutes(), ...given(own) };
  const safe = { ...routes };
  for (const name of Object.keys(routes) as 'task'[])
    safe[name] = (...ids) => routes[name](...(ids.map(checked) as [string]));
  return safe;
}

/** The id; throws for what cannot be a task's. */
export function checked(taskId: string): string {
  if (isTaskId(taskId)) return taskId;
  throw new TaskBridgeClientError('TASK_NOT_FOUND', `Not a task id: ${JSON.stringify(taskId)}`);
}

export type QueryValue = string | number | boolean | null | undefined;

/** The address of a route; members of the query that are `undefined`, `null` or empty are left out. */
export function addressOf(baseUrl: string, route: string, query: Record<string, QueryValue> = {}): string {
  const base = /^[a-z]+:\/\//i.test(route) ? '' : baseUrl.replace(/\/+$/, '');
  const parameters = Object.entries(query)
    .filter(([, value]) => (value ?? '') !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  const separator = route.includes('?') ? '&' : '?';
  return base + route + (parameters.length > 0 ? separator + parameters.join('&') : '');
}

/** The same address for a WebSocket; a page's own origin where the address has none. */
export function webSocketAddress(address: string): string {
  const { location } = globalThis as { location?: { origin: string } };
  const absolute = address.startsWith('/') && location ? location.origin + address : address;
  return absolute.replace(/^http/i, 'ws');
}
