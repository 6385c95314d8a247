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
  session?: TaskObserver | undefined;
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
  const watch = useMemo(() => new SharedWatch(context, taskId), [context, taskId]);
  const view = useSyncExternalStore(watch.subscribe, watch.current, () => watch.unknown);
  return useMemo(() => ({ ...view, act: watch.act, cancel: watch.cancel }), [view, watch]);
}

/** A component's way to the watch that it shares. Rendering alone, as a server does, leaves nothing behind. */
class SharedWatch {
  readonly #context: TaskBridgeContext;
  readonly #taskId: string;
  readonly unknown: TaskView;
  #watch: TaskWatch | undefined;

  constructor(context: TaskBridgeContext, taskId: string) {
    this.#context = context;
    this.#taskId = taskId;
    this.unknown = emptyView(taskId);
  }

  readonly current = (): TaskView => (this.#watch ?? this.#shared)?.current() ?? this.unknown;
  readonly subscribe: TaskWatch['subscribe'] = (listener) => {
    this.#watch = this.#shared ?? this.#own();
    return this.#watch.subscribe(listener);
  };
  readonly act: TaskWatch['act'] = (action) => this.#own().act(action);
  readonly cancel: TaskWatch['cancel'] = (reason) => this.#own().cancel(reason);

  get #shared(): TaskWatch | undefined {
    return watches.get(this.#context.observer)?.get(this.#taskId);
  }

  #own(): TaskWatch {
    const { client, observer } = this.#context;
    this.#watch ??= new TaskWatch(client, observer, this.#taskId, (isUsed) => this.#list(isUsed));
    return this.#watch;
  }

  #list(isUsed: boolean): void {
    const known = watches.get(this.#context.observer) ?? new Map<string, TaskWatch>();
    watches.set(this.#context.observer, known);
    if (isUsed && this.#watch) known.set(this.#taskId, this.#watch);
    else known.delete(this.#taskId);
  }
}
