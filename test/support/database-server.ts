import { startEmbeddedPostgres } from '../../sample/src/embedded-postgres/embedded-postgres.js';

// The PostgreSQL of one test run, in a process of its own: started by the global set-up, stopped when that goes away.

const [, , folder = ''] = process.argv;
const server = await startEmbeddedPostgres(folder, ['fsync=off', 'full_page_writes=off', 'max_connections=300']);
process.once('disconnect', () => void server.stop().then(() => process.exit(0)));
process.send?.({ url: server.url });
