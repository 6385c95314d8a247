export { type TaskView } from './task-view.js';
export { type TaskObserver } from './task-watch.js';
export { TaskBridgeProvider, useTask, type UsedTask } from './use-task.js';
