import type { FollowerKind, FollowerTarget } from './bench-follower.js';

/** A follower of one of our instances; without a cursor it starts at the start of the log. */
export function ourTarget(origin: string, kind: FollowerKind, taskId: string, lastEventId?: string): FollowerTarget {
  const port = Number(new URL(origin).port);
  const cursor = lastEventId === undefined ? {} : { lastEventId };
  if (kind === 'sse') return { kind, port, path: `/api/v1/tasks/${taskId}/events/stream`, ...cursor };
  const subscribe = JSON.stringify({ action: 'subscribe', taskId, ...cursor });
  return { kind, port, path: '/api/v1/tasks/ws', subscribe };
}

/** A follower of a bare server. */
export function bareTarget(port: number, kind: FollowerKind, taskId: string): FollowerTarget {
  if (kind === 'sse') return { kind, port, path: `/${taskId}` };
  return { kind, port, path: '/', subscribe: JSON.stringify({ taskId }) };
}
