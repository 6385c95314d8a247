import type { TaskSuspension } from '@taskbridge/client';
import type { UsedTask } from '@taskbridge/client/react';
import { createElement as h, type ReactNode } from 'react';

/** One task: its status, how far it is, what it asks, and how it ended. */
export function TaskView({ taskId, task }: { taskId: string; task: UsedTask }): ReactNode {
  const { status, progress, openSuspensions, result, failure, act, cancel } = task;
  const questions = openSuspensions.map(({ suspendId, uiHints, allowedActions }) =>
    h(
      'p',
      { key: suspendId },
      `${titleOf(uiHints)} `,
      ...allowedActions.map((actionType) =>
        h('button', { key: actionType, onClick: () => void act({ suspendId, actionType }) }, actionType),
      ),
    ),
  );
  const isOpen = status === 'ACCEPTED' || status === 'RUNNING';
  return h(
    'section',
    { 'data-task': taskId },
    h('strong', { className: 'status' }, status ?? 'loading'),
    ' ',
    h('small', undefined, taskId),
    h('progress', { max: 100, value: status === 'COMPLETED' ? 100 : (progress?.progress ?? 0) }),
    ...questions,
    result === undefined ? null : h('code', undefined, JSON.stringify(result)),
    failure ? h('p', undefined, failure.message) : null,
    isOpen ? h('button', { onClick: () => void cancel() }, 'cancel') : null,
  );
}

function titleOf(uiHints: TaskSuspension['uiHints']): string {
  const title = uiHints?.['title'];
  return typeof title === 'string' ? title : 'Which one?';
}
