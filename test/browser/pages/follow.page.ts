import { IndexedDbStore, TaskBridgeClient } from '@taskbridge/client';
import type { FollowOutcome, FollowRequest } from '../support/follow-request.js';

declare global {
  interface Window {
    follow: (request: FollowRequest) => Promise<FollowOutcome>;
    /** What this tab has shown since it was opened, reloads included. */
    shown: () => number[];
    checkpoint: (request: FollowRequest) => Promise<string | undefined>;
  }
}

const storeOf = ({ store }: FollowRequest): Storage | IndexedDbStore =>
  store === 'localStorage' ? localStorage : new IndexedDbStore();

window.shown = () => JSON.parse(sessionStorage.getItem('shown') ?? '[]') as number[];

window.checkpoint = async (request) =>
  (await storeOf(request).getItem(`${request.namespace}:${request.taskId}:cursor`)) ?? undefined;

window.follow = async (request) => {
  const { taskId, namespace, transports, recovery } = request;
  const client = new TaskBridgeClient({
    baseUrl: '',
    authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
    store: storeOf(request),
    namespace,
    transports,
    recovery,
  });
  const outcome: FollowOutcome = { seqs: [], checkpoints: [] };
  for await (const { eventId } of client.observeTaskEvents(taskId)) {
    const seq = Number.parseInt(eventId, 10);
    outcome.seqs.push(seq);
    outcome.checkpoints.push(await window.checkpoint(request));
    sessionStorage.setItem('shown', JSON.stringify([...window.shown(), seq]));
  }
  outcome.checkpoints.push(await window.checkpoint(request));
  return outcome;
};
