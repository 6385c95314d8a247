import {
  isTerminalStatus,
  type CancelTaskResponse,
  type TaskClientActionResponse,
  type TaskCreatedResponse,
  type TaskListResponse,
  type TaskSnapshot,
  type TaskStatus,
} from '@taskbridge/protocol';
import type { CheckpointStore } from './checkpoints/checkpoint-store.js';
import { Checkpoints } from './checkpoints/checkpoints.js';
import { MemoryStore } from './checkpoints/memory.store.js';
import type { ObserveOptions, TaskBridgeClientOptions } from './client-options.js';
import { quiet } from './diagnostics.js';
import { TaskCancelledError, TaskFailedError } from './errors.js';
import { given } from './given.js';
import { AuthHeaders } from './http/auth-headers.js';
import { HttpClient } from './http/http-client.js';
import { multipartBody, type TaskAttachment } from './http/multipart.js';
import { randomId } from './random-id.js';
import { BROWSER_NETWORK } from './recovery/network-status.js';
import { DEFAULT_RECOVERY } from './recovery/recovery-options.js';
import { TaskObservation, type TaskObservationOptions } from './recovery/task-observation.js';
import { checkedRoutes, type TaskRoutes } from './routes.js';
import { TaskEventStream } from './task-events-stream.js';
import type { TaskEvent } from './task-events.js';
import { TaskSession } from './task-session.js';
import type { TaskTransport } from './transports/transport.js';
import { Transports } from './transports/transports.js';
import { raced } from './wait.js';

/** What to do. Without a `clientRequestId` one is made; it is the same however often the request has to be repeated. */
export interface StartTaskRequest {
  taskType: string;
  /** A JSON object, like `metadata`. */
  input?: object | undefined;
  metadata?: object | undefined;
  clientRequestId?: string | undefined;
}

/** An answer to a question. Without a `clientActionId` one is made. */
export interface SubmitActionRequest {
  suspendId: string;
  actionType: string;
  /** A JSON object, like `metadata`. */
  payload?: object | undefined;
  metadata?: object | undefined;
  clientActionId?: string | undefined;
}

/** Which of the caller's tasks to list. */
export interface ListTasksQuery {
  status?: TaskStatus | undefined;
  taskType?: string | undefined;
  waiting?: boolean | undefined;
  limit?: number | undefined;
  /** `nextCursor` of the page before. */
  cursor?: string | undefined;
}

/** One call can be given up, without undoing what it has done. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

/** How long a call of the store holds up what waits for it. */
const MAX_STORE_MS = 5_000;

/**
 * Starts tasks, follows them to their end, answers their questions. Commands are repeated after lost connections, 429
 * and 5xx with the same idempotency key, so they take effect once; they reject with `RequestRefusedError` when the server
 * refuses, and with `CONNECTION_FAILED` when it does not answer.
 */
export class TaskBridgeClient {
  readonly #routes: TaskRoutes;
  readonly #following: Pick<TaskObservationOptions, 'network' | 'recovery' | 'diagnostics'>;
  readonly #http: HttpClient;
  readonly #checkpoints: Checkpoints;
  readonly #transports: Transports;

  constructor(options: TaskBridgeClientOptions) {
    const settings = { ...defaults(), ...given(options) };
    const { baseUrl, commandTimeoutMs, network } = settings;
    if (!/^(https?:\/\/|\/|$)/i.test(baseUrl)) throw new TypeError(`baseUrl is no http address: ${baseUrl}`);
    const diagnostics = quiet(options.diagnostics);
    const routes = checkedRoutes(options.routes);
    const recovery = { ...DEFAULT_RECOVERY, ...given(options.recovery) };
    const auth = new AuthHeaders(options.authHeaderProvider, diagnostics, commandTimeoutMs);
    const http = new HttpClient({ ...settings, auth, recovery, diagnostics });
    const timeoutMs = Math.min(commandTimeoutMs, MAX_STORE_MS);
    const snapshot = (taskId: string, signal: AbortSignal): Promise<TaskSnapshot> => this.#snapshot(taskId, signal);
    this.#checkpoints = new Checkpoints({ ...settings, diagnostics, timeoutMs, snapshot });
    this.#transports = new Transports(options, { http, auth, routes, diagnostics, recovery });
    this.#http = http;
    this.#routes = routes;
    this.#following = { network, recovery, diagnostics };
  }

  /** Creates a task, or finds the one that the same `clientRequestId` has created. */
  startTask(request: StartTaskRequest, options?: CallOptions): Promise<TaskCreatedResponse> {
    return this.#start(identified(request), options);
  }

  /** The same with files. */
  async startTaskMultipart(
    { attachments, ...request }: StartTaskRequest & { attachments: readonly TaskAttachment[] },
    options?: CallOptions,
  ): Promise<TaskCreatedResponse> {
    const body = multipartBody(identified(request), attachments);
    return this.#start(await raced(body, options?.signal), options);
  }

  /** The task as it is now: status, result or error, open questions, last event. */
  async getTask(taskId: string, { signal }: CallOptions = {}): Promise<TaskSnapshot> {
    const task = await this.#snapshot(taskId, signal);
    if (isTerminalStatus(task.status)) void this.#checkpoints.clearUnread(taskId);
    return task;
  }

  /** One page of the caller's own tasks, newest first. */
  listTasks(query: ListTasksQuery = {}, { signal }: CallOptions = {}): Promise<TaskListResponse> {
    return this.#http.command({
      operation: 'listTasks',
      route: this.#routes.tasks(),
      query: { ...query },
      signal,
      answer: 'items',
    });
  }

  /**
   * Every event of the task, once and in order, until the task has ended, across whatever happens to the connection. It
   * begins after `lastEventId`, else after the stored checkpoint, else at the start, and rejects only when the server
   * refuses for good, on a gap without `onGap`, and when it is aborted.
   */
  observeTaskEvents(taskId: string, options: ObserveOptions = {}): TaskEventStream {
    return new TaskEventStream((signal) => this.#follow(taskId, options, signal, this.#transports.all), options.signal);
  }

  /** Observes many tasks over one WebSocket, until it is closed. */
  session(): TaskSession {
    const { all, close } = this.#transports.multiplexed();
    return new TaskSession((taskId, options, signal) => this.#follow(taskId, options, signal, all), close);
  }

  /** Answers a question. A rejection by the state of the question is an answer too: look at `status`. */
  async submitAction(
    taskId: string,
    action: SubmitActionRequest,
    { signal }: CallOptions = {},
  ): Promise<TaskClientActionResponse> {
    const body = { ...action, clientActionId: action.clientActionId ?? randomId() };
    const route = this.#routes.actions(taskId);
    const submission = this.#post<TaskClientActionResponse>('submitAction', route, body, signal, taskId);
    return this.#checkpoints.answered(taskId, action.suspendId, submission, signal);
  }

  /** Asks the task to stop. A completion that is logged first wins. */
  async cancelTask(taskId: string, reason?: string, { signal }: CallOptions = {}): Promise<CancelTaskResponse> {
    return this.#post('cancelTask', this.#routes.cancel(taskId), { reason }, signal, taskId);
  }

  /**
   * Resolves with the task's result once it has completed; rejects with {@link TaskFailedError} or
   * {@link TaskCancelledError}. It keeps no checkpoint.
   */
  async waitForResult<T = unknown>(taskId: string, { signal }: CallOptions = {}): Promise<T> {
    let task = await this.getTask(taskId, { signal });
    if (!isTerminalStatus(task.status)) {
      const options = { lastEventId: task.lastEventId ?? '0', checkpoint: false, signal, onGap: skipToSnapshot };
      for await (const event of this.observeTaskEvents(taskId, options)) {
        if (event.type === 'TASK_COMPLETED') return event.payload.result as T;
        if (event.type === 'TASK_FAILED') throw new TaskFailedError(taskId, event.payload);
        if (event.type === 'TASK_CANCELLED') throw new TaskCancelledError(taskId, event.payload.reason);
      }
      task = await this.getTask(taskId, { signal });
    }
    if (task.error) throw new TaskFailedError(taskId, task.error);
    if (task.status === 'CANCELLED') throw new TaskCancelledError(taskId, task.cancellation?.reason ?? 'cancelled');
    return task.result as T;
  }

  async #snapshot(taskId: string, signal: AbortSignal | undefined): Promise<TaskSnapshot> {
    return this.#http.command({ operation: 'getTask', taskId, route: this.#routes.task(taskId), signal });
  }

  #start(body: object, { signal }: CallOptions = {}): Promise<TaskCreatedResponse> {
    return this.#post('startTask', this.#routes.tasks(), body, signal);
  }

  #post<T>(operation: string, route: string, body: object, signal?: AbortSignal, taskId?: string): Promise<T> {
    return this.#http.command({ operation, method: 'POST', route, body, signal, taskId });
  }

  #follow(
    taskId: string,
    options: ObserveOptions,
    signal: AbortSignal,
    transports: readonly TaskTransport[],
  ): AsyncGenerator<TaskEvent, void> {
    const checkpoints = this.#checkpoints;
    const keepsCheckpoint = options.checkpoint !== false;
    const observation = new TaskObservation({
      taskId,
      signal,
      transports,
      ...this.#following,
      lastEventId: options.lastEventId,
      checkpoints: keepsCheckpoint ? checkpoints : undefined,
      onGap: options.onGap,
      snapshot: () => this.#snapshot(taskId, signal),
      onEnd: (own) => (keepsCheckpoint ? checkpoints.clear(taskId, own) : checkpoints.clearUnread(taskId, own)),
    });
    return observation.events();
  }
}

function defaults() {
  return {
    store: new MemoryStore() as CheckpointStore,
    namespace: 'taskbridge',
    network: BROWSER_NETWORK,
    fetch: platformFetch,
    commandAttempts: 5,
    commandTimeoutMs: 30_000,
  };
}

/** With the key that makes its repeats one task. */
function identified(request: StartTaskRequest): StartTaskRequest & { clientRequestId: string } {
  return { ...request, clientRequestId: request.clientRequestId ?? randomId() };
}

/** Looked up for each request: tests and service workers replace it. */
const platformFetch: typeof fetch = (...request) => fetch(...request);

/** The result is in the snapshot, or still to come. */
function skipToSnapshot(): 'skip-to-snapshot' {
  return 'skip-to-snapshot';
}
