import {
  TaskBridgeClient,
  type CheckpointStore,
  type TaskBridgeClientOptions,
  type TaskEvent,
} from '@taskbridge/client';
import { WebSocket } from 'ws';

/** Nothing is waited for longer than a test needs. */
export const IMPATIENT = {
  initialDelayMs: 0,
  maxDelayMs: 5,
  openTimeoutMs: 1_000,
  livenessTimeoutMs: 1_500,
  climbAfterMs: 100,
  maxClimbAfterMs: 400,
} as const;

export type Kind = 'websocket' | 'sse' | 'poll';

export const KINDS: readonly Kind[] = ['websocket', 'sse', 'poll'];

export function clientOf(baseUrl: string, options: Partial<TaskBridgeClientOptions> = {}): TaskBridgeClient {
  return new TaskBridgeClient({
    baseUrl,
    authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
    webSocket: WebSocket,
    webSocketAuth: 'header',
    ...options,
    recovery: { ...IMPATIENT, ...options.recovery },
  });
}

/** What the store says of a task. */
export async function storedCursor(store: CheckpointStore, taskId: string): Promise<string | undefined> {
  return (await store.getItem(`taskbridge:${taskId}:cursor`)) ?? undefined;
}

/**
 * Follows to the end, and notes each event with the checkpoint that was stored when it came. A run that does not end is
 * given up.
 */
export async function followed(
  client: TaskBridgeClient,
  store: CheckpointStore,
  taskId: string,
  onEvent: (event: TaskEvent) => unknown = () => undefined,
  limitMs = 30_000,
): Promise<{ seqs: number[]; checkpoints: (string | undefined)[] }> {
  const seqs: number[] = [];
  const checkpoints: (string | undefined)[] = [];
  const signal = AbortSignal.timeout(limitMs);
  for await (const event of client.observeTaskEvents(taskId, { signal })) {
    seqs.push(Number.parseInt(event.eventId, 10));
    checkpoints.push(await storedCursor(store, taskId));
    await onEvent(event);
  }
  checkpoints.push(await storedCursor(store, taskId));
  return { seqs, checkpoints };
}

/** What `followed` gives when nothing went wrong: each event once, in order, each one stored when the next one comes. */
export function flawless(count: number): { seqs: number[]; checkpoints: (string | undefined)[] } {
  const seqs = Array.from({ length: count }, (_, index) => index + 1);
  const stored = seqs.slice(0, -1).map((seq) => `${seq}-0`);
  return { seqs, checkpoints: [undefined, ...stored, undefined] };
}

/** Repeatable numbers in 0..1. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
