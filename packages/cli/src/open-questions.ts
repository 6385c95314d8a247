import type { OpenSuspensionView, TaskSnapshot } from '@taskbridge/protocol';
import { isRecord } from './is-record.js';

/** A task's open questions; throws for what is no list of them, as another program at the address may answer. */
export function openQuestions(task: Pick<TaskSnapshot, 'openSuspensions'>): readonly OpenSuspensionView[] {
  const { openSuspensions } = task;
  if (Array.isArray(openSuspensions) && openSuspensions.every(hasId)) return openSuspensions;
  throw new Error('The answer is not understood: it does not say which questions of the task are open');
}

function hasId(question: unknown): boolean {
  return isRecord(question) && typeof question['suspendId'] === 'string';
}
