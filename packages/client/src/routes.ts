/** Where everything is, as paths on `baseUrl` or as whole addresses; ids come escaped. */
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
  return {
    tasks: () => tasksPath,
    task: (taskId) => `${tasksPath}/${taskId}`,
    events: (taskId) => `${tasksPath}/${taskId}/events`,
    stream: (taskId) => `${tasksPath}/${taskId}/events/stream`,
    actions: (taskId) => `${tasksPath}/${taskId}/actions`,
    cancel: (taskId) => `${tasksPath}/${taskId}/cancel`,
    tickets: (taskId) => `${tasksPath}/${taskId}/tickets`,
    webSocket: () => webSocketPath,
  };
}

export type QueryValue = string | number | boolean | null | undefined;

/** The address of a route; members of the query that are `undefined`, `null` or empty are left out. */
export function addressOf(baseUrl: string, route: string, query: Record<string, QueryValue> = {}): string {
  const base = /^[a-z]+:\/\//i.test(route) ? '' : baseUrl.replace(/\/+$/, '');
  const parameters = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== null && value !== '')
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
