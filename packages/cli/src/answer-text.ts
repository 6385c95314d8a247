import type { TaskClientActionStatus } from '@taskbridge/protocol';

const TEXTS: Readonly<Record<TaskClientActionStatus, string>> = {
  ACCEPTED: 'accepted',
  DEDUPLICATED: 'accepted before',
  REJECTED_ALREADY_RESOLVED: 'too late: somebody else has answered, or the task has ended',
  REJECTED_EXPIRED: 'too late: the question has expired',
};

/** In words, what has become of an answer; throws for a status that TaskBridge does not know. */
export function answerText(status: TaskClientActionStatus): string {
  if (Object.hasOwn(TEXTS, status)) return TEXTS[status];
  throw new Error('The answer is not understood: it does not say whether the question has been answered');
}
