import type { MigrationInterface } from 'typeorm';
import { CreateTaskBridgeTables1764000000000 } from './1764000000000-create-taskbridge-tables.js';
import { CreateStreamTickets1764500000000 } from './1764500000000-create-stream-tickets.js';

/**
 * The library's migrations, oldest first, for hosts that spread them into their own DataSource's `migrations`. A host
 * uses either this or `runTaskBridgeMigrations`, not both: each keeps a history of its own. TypeORM takes no lock, so
 * instances that boot at once must not all run them this way.
 */
export function createTaskBridgeMigrations(): (new () => MigrationInterface)[] {
  return [CreateTaskBridgeTables1764000000000, CreateStreamTickets1764500000000];
}
