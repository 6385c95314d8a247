import { TaskBridgeClient } from '@taskbridge/client';
import { TaskBridgeProvider, useTask } from '@taskbridge/client/react';
import { createElement as h, type ReactNode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { TaskView } from './task-view.js';

/** What the sample's handlers can do. */
const KINDS = [
  { label: 'Count to forty', taskType: 'demo.ticks', input: { ticks: 40, delayMs: 250 } },
  { label: 'Ask for approval', taskType: 'demo.approval', input: {} },
  { label: 'Fail', taskType: 'demo.fail', input: {} },
] as const;

const client = new TaskBridgeClient({
  baseUrl: '',
  authHeaderProvider: () => ({ authorization: 'Bearer demo-ada' }),
});

function Task({ taskId }: { taskId: string }): ReactNode {
  return h(TaskView, { taskId, task: useTask(taskId) });
}

/** The newest tasks, those of other tabs and of the terminal included when the page is loaded again. */
function App(): ReactNode {
  const [taskIds, setTaskIds] = useState<readonly string[]>([]);
  useEffect(() => {
    void client.listTasks({ limit: 5 }).then(({ items }) => setTaskIds(items.map(({ taskId }) => taskId)));
  }, []);
  const start = async ({ taskType, input }: (typeof KINDS)[number]): Promise<void> => {
    const { taskId } = await client.startTask({ taskType, input });
    setTaskIds((known) => [taskId, ...known]);
  };
  const buttons = KINDS.map((kind) => h('button', { key: kind.label, onClick: () => void start(kind) }, kind.label));
  return h(
    'main',
    undefined,
    h('h1', undefined, 'Tasks of ada'),
    h('p', undefined, 'Reload the page, pull the network or restart the server: each task goes on where it was.'),
    ...buttons,
    ...taskIds.map((taskId) => h(Task, { key: taskId, taskId })),
  );
}

const root = document.getElementById('app');
if (root) createRoot(root).render(h(TaskBridgeProvider, { client }, h(App)));
