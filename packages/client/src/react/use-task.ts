import { createContext, createElement, type ReactNode, useContext, useMemo, useSyncExternalStore } from 'react';
import type { TaskBridgeClient } from '../taskbridge-client.js';
import { emptyView, type TaskView } from './task-view.js';
import { type TaskObserver, TaskWatch } from './task-watch.js';

/** What a component gets: the task as it is, and what can be done about it. */
export interface UsedTask extends TaskView {
  /** Answers an open question. */
  act: TaskWatch['act'];
  /** Asks the task to stop. */
  cancel: TaskWatch['cancel'];
}

interface TaskBridgeContext {
  client: TaskBridgeClient;
  observer: TaskObserver;
}

const Context = createContext<TaskBridgeContext | undefined>(undefined);

/** Watches by observer and task, so that components which show the same task share one. */
const watches = new WeakMap<TaskObserver, Map<string, TaskWatch>>();

/** Gives the client to `useTask`. With a `session`, all tasks of the page share its connection. */
export function TaskBridgeProvider(properties: {
  client: TaskBridgeClient;
  session?: TaskObserver;
  children?: ReactNode;
}): ReactNode {
  const { client, session, children } = properties;
  const value = useMemo(() => ({ client, observer: session ?? client }), [client, session]);
  return createElement(Context.Provider, { value }, children);
}

/**
 * Follows a task while the component is mounted, and renders again when something happens. It begins with the task's
 * snapshot, so a reload shows the same; on a server it renders as not yet known.
 */
export function useTask(taskId: string): UsedTask {
  const context = useContext(Context);
  if (context === undefined) throw new Error('useTask needs a <TaskBridgeProvider> around it');
  const watch = watchOf(context, taskId);
  const unknown = useMemo(() => emptyView(taskId), [taskId]);
  const view = useSyncExternalStore(watch.subscribe, watch.current, () => unknown);
  return useMemo(() => ({ ...view, act: watch.act, cancel: watch.cancel }), [view, watch]);
}

/** Making one has no effect before it is subscribed to. */
function watchOf({ client, observer }: TaskBridgeContext, taskId: string): TaskWatch {
  const known = watches.get(observer) ?? new Map<string, TaskWatch>();
  watches.set(observer, known);
  const shared = known.get(taskId);
  if (shared) return shared;
  const watch: TaskWatch = new TaskWatch(client, observer, taskId, (isUsed) =>
    isUsed ? known.set(taskId, watch) : known.delete(taskId),
  );
  known.set(taskId, watch);
  return watch;
}
