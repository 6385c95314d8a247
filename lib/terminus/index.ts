export { TaskBridgeHealthIndicator } from './task-bridge.health-indicator.js';
