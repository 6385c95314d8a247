import { type Diagnostic, IndexedDbStore, TaskBridgeClient } from '@taskbridge/client';
import type { Followed } from '../../client/support/follower.js';
import type { FollowCallbacks, FollowOutcome, FollowRequest } from '../support/follow-request.js';

declare global {
  interface Window extends FollowCallbacks {
    follow: (request: FollowRequest) => Promise<FollowOutcome>;
    /** Follows many tasks with one client; resolves with how many events each has had when all have ended. */
    followTogether: (request: FollowRequest, taskIds: string[]) => Promise<number[]>;
    /** Answers this question of a task. */
    answer: (request: FollowRequest, suspendId: string, actionType: string) => Promise<void>;
    /** What this tab has shown since it was opened, reloads included. */
    shown: () => number[];
    checkpoint: (request: FollowRequest) => Promise<string | undefined>;
  }
}

const indexedDb = new IndexedDbStore();

const clientOf = ({ store, namespace, transports, recovery, run }: FollowRequest, told: Promise<void>[] = []) =>
  new TaskBridgeClient({
    baseUrl: '',
    authHeaderProvider: (_, forceRefresh) =>
      run === undefined ? { authorization: 'Bearer ada' } : window.headersOf(run, forceRefresh),
    store: store === 'localStorage' ? localStorage : indexedDb,
    namespace,
    transports,
    recovery,
    diagnostics: (entry) => {
      if (run !== undefined && entry.kind !== 'raw-payload') told.push(window.tellDiagnostic(run, plain(entry)));
    },
  });

/** What can leave the page. */
const plain = (entry: Diagnostic): Diagnostic => JSON.parse(JSON.stringify(entry)) as Diagnostic;

window.shown = () => JSON.parse(sessionStorage.getItem('shown') ?? '[]') as number[];

window.checkpoint = async ({ store, namespace, taskId }) =>
  (await (store === 'localStorage' ? localStorage : indexedDb).getItem(`${namespace}:${taskId}:cursor`)) ?? undefined;

window.answer = async (request, suspendId, actionType) => {
  await clientOf(request).submitAction(request.taskId, { suspendId, actionType });
};

window.followTogether = (request, taskIds) => {
  const client = clientOf(request);
  const follow = async (taskId: string): Promise<number> => {
    let seq = 0;
    for await (const { eventId } of client.observeTaskEvents(taskId)) seq = Number.parseInt(eventId, 10);
    return seq;
  };
  return Promise.all(taskIds.map(follow));
};

window.follow = async (request) => {
  const told: Promise<void>[] = [];
  const followed: Followed = { seqs: [], checkpoints: [] };
  const { taskId, run, limitMs } = request;
  const options = limitMs === undefined ? {} : { signal: AbortSignal.timeout(limitMs) };
  try {
    for await (const { eventId } of clientOf(request, told).observeTaskEvents(taskId, options)) {
      const seq = Number.parseInt(eventId, 10);
      followed.seqs.push(seq);
      followed.checkpoints.push(await window.checkpoint(request));
      sessionStorage.setItem('shown', JSON.stringify([...window.shown(), seq]));
      if (run !== undefined) await window.tellEvent(run, seq);
    }
    followed.checkpoints.push(await window.checkpoint(request));
    return followed;
  } catch (error) {
    const { message, code, status } = error as { message: string; code?: string; status?: number };
    return { error: { message, code, status } };
  } finally {
    await Promise.all(told);
  }
};
