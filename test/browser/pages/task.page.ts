import { TaskBridgeClient } from '@taskbridge/client';
import { TaskBridgeProvider, useTask, type UsedTask } from '@taskbridge/client/react';
import { createElement as h, type ReactNode, StrictMode, useState } from 'react';
import { createRoot } from 'react-dom/client';

const client = new TaskBridgeClient({
  baseUrl: '',
  authHeaderProvider: () => ({ authorization: 'Bearer ada' }),
  recovery: { initialDelayMs: 50 },
});

function Approval({ task }: { task: UsedTask }): ReactNode {
  const [question] = task.openSuspensions;
  if (question === undefined) return null;
  const answer = (actionType: string): void =>
    void task.act({ suspendId: question.suspendId, actionType, payload: { note: 'seen' } });
  const buttons = question.allowedActions.map((action) =>
    h('button', { key: action, id: action, onClick: () => answer(action) }, action),
  );
  return h('dialog', { open: true }, h('p', undefined, String(question.interaction['question'])), ...buttons);
}

function Task({ taskId }: { taskId: string }): ReactNode {
  const task = useTask(taskId);
  const percent = task.progress?.progress ?? 0;
  return h(
    'main',
    undefined,
    h('h1', undefined, 'Review of the report'),
    h('p', { id: 'status' }, task.status ?? 'loading'),
    h('progress', { id: 'progress', max: 100, value: percent }),
    h('p', { id: 'percent' }, `${Math.round(percent)} %`),
    h('p', { id: 'result' }, task.result === undefined ? '' : JSON.stringify(task.result)),
    h('p', { id: 'seqs' }, task.events.map(({ eventId }) => Number.parseInt(eventId, 10)).join(' ')),
    h(Approval, { task }),
  );
}

function Page(): ReactNode {
  const [isShown, show] = useState(true);
  const taskId = new URLSearchParams(location.search).get('task') ?? '';
  return h(
    TaskBridgeProvider,
    { client },
    h('button', { id: 'toggle', onClick: () => show(!isShown) }, isShown ? 'Hide' : 'Show'),
    isShown ? h(Task, { taskId }) : undefined,
  );
}

createRoot(document.getElementById('root') as HTMLElement).render(h(StrictMode, undefined, h(Page)));
