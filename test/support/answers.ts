import type { ActionSubmission } from '../../lib/stores/suspension.store.js';

/** Says `go` to the suspension `q`; the same `clientActionId` means the same answer. */
export function answerTo(taskId: string, members: Partial<ActionSubmission> = {}): ActionSubmission {
  return {
    taskId,
    clientActionId: 'answer',
    suspendId: 'q',
    actionType: 'go',
    payload: null,
    metadata: null,
    requestHash: 'go',
    acceptedBy: 'ann',
    claimMs: 0,
    ...members,
  };
}
