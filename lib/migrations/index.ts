export { runTaskBridgeMigrations } from './run-migrations.js';
export { createTaskBridgeMigrations } from './taskbridge-migrations.js';
