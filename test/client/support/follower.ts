import {
  type Diagnostic,
  MemoryStore,
  type NetworkStatus,
  type RecoveryOptions,
  TaskBridgeClient,
} from '@taskbridge/client';
import { WebSocket } from 'ws';
import { IMPATIENT, type Kind, storedCursor } from './torture-client.js';

/** How a follower is to follow one task. */
export interface FollowOptions {
  transports?: Kind[];
  recovery?: Partial<RecoveryOptions>;
  /** @default those of ada */
  headers?: (forceRefresh: boolean) => Record<string, string>;
  /** Each event's number; the event is taken when this is done. */
  onEvent?: (seq: number) => unknown;
  onDiagnostic?: (diagnostic: Diagnostic) => unknown;
  /** A run that has not ended by then is given up. @default 45_000 */
  limitMs?: number;
}

/** Each event as it came, with the checkpoint that was stored then; the last checkpoint is that of the end. */
export interface Followed {
  seqs: number[];
  checkpoints: (string | undefined)[];
}

/** Somewhere that clients run, each with a store of its own: this process, or a page of a browser. */
export interface Follower {
  /** Rejects with the client's error, at least its `code` and `status`, and when the task does not end. */
  follow(taskId: string, options?: FollowOptions): Promise<Followed>;
  setOnline(isOnline: boolean): Promise<void>;
  close(): Promise<void>;
}

export const ADA = { authorization: 'Bearer ada' };

export const FOLLOW_LIMIT_MS = 45_000;

/** Clients in this process, with the WebSockets of `ws` and headers. */
export class ProcessFollower implements Follower {
  private isOnline = true;
  readonly listeners = new Set<() => void>();
  private readonly network: NetworkStatus = {
    isOnline: () => this.isOnline,
    subscribe: (changed) => {
      this.listeners.add(changed);
      return () => void this.listeners.delete(changed);
    },
  };

  constructor(private readonly baseUrl: string) {}

  async follow(taskId: string, options: FollowOptions = {}): Promise<Followed> {
    const { transports, recovery, headers = () => ADA, onEvent, onDiagnostic, limitMs = FOLLOW_LIMIT_MS } = options;
    const store = new MemoryStore();
    const client = new TaskBridgeClient({
      baseUrl: this.baseUrl,
      authHeaderProvider: (_, forceRefresh) => headers(forceRefresh),
      webSocket: WebSocket,
      webSocketAuth: 'header',
      store,
      network: this.network,
      recovery: { ...IMPATIENT, ...recovery },
      ...(transports && { transports }),
      ...(onDiagnostic && { diagnostics: onDiagnostic }),
    });
    const followed: Followed = { seqs: [], checkpoints: [] };
    const signal = AbortSignal.timeout(limitMs);
    for await (const { eventId } of client.observeTaskEvents(taskId, { signal })) {
      followed.seqs.push(Number.parseInt(eventId, 10));
      followed.checkpoints.push(await storedCursor(store, taskId));
      await onEvent?.(Number.parseInt(eventId, 10));
    }
    followed.checkpoints.push(await storedCursor(store, taskId));
    return followed;
  }

  async setOnline(isOnline: boolean): Promise<void> {
    this.isOnline = isOnline;
    for (const changed of this.listeners) changed();
  }

  async close(): Promise<void> {
    if (this.listeners.size > 0) throw new Error(`${this.listeners.size} listeners to the network are left`);
  }
}
