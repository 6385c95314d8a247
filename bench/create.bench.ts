import { Injectable } from '@nestjs/common';
import fastify from 'fastify';
import type { AddressInfo } from 'node:net';
import pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { TaskExecutor } from '../lib/executors/task-executor.js';
import { TaskHandler } from '../lib/executors/task-handler.decorator.js';
import type { TaskRunner } from '../lib/executors/task-handler.js';
import type { TaskBridgeOptions } from '../lib/taskbridge.options.js';
import { openInstance } from './support/bench-instance.js';
import { type BenchContext, defineBench } from './support/bench.js';
import type { BenchDatabase } from './support/bench-database.js';
import { FollowerProcess } from './support/follower-group.js';
import { atLeast, type Figures, type Reach } from './support/report.js';

// Creating tasks over HTTP, beside a bare Fastify route that does one insert. Clients are in a process of their own.

const CONNECTIONS = 32;

/** Takes every task at once: what remains is what the module does. */
@Injectable()
class EagerExecutor extends TaskExecutor {
  async submitTask(): Promise<void> {}
  async requestCancellation(): Promise<void> {}
}

@TaskHandler('contacts.import', { concurrency: 64 })
class ImportHandler implements TaskRunner {
  async run(): Promise<null> {
    return null;
  }
}

async function bareRoute({ defer }: BenchContext, { url, tables }: BenchDatabase): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: 10 });
  // Its connections may still be closing when the database is dropped.
  pool.on('error', () => undefined);
  const app = fastify();
  const text = `insert into ${tables.tasks} (task_id, owner_id, client_request_id, request_hash, task_type, input, metadata)
    values ($1, 'ada', $2, '', $3, $4, '{}') on conflict do nothing`;
  app.post('/api/v1/tasks', async (request, reply) => {
    const { clientRequestId, taskType, input } = request.body as Record<string, unknown>;
    const taskId = uuidv7();
    await pool.query({ name: 'insert', text, values: [taskId, clientRequestId, taskType, JSON.stringify(input)] });
    return reply.status(201).send({ taskId, status: 'ACCEPTED', clientRequestId, deduplicated: false });
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  defer(async () => {
    await app.close();
    await pool.end();
  });
  return (app.server.address() as AddressInfo).port;
}

defineBench(async (context) => {
  const { report, pairs, scale } = context;
  const clients = await FollowerProcess.open(context);
  const create = (port: number) => async (): Promise<Figures> => {
    const load = { port, connections: scale(CONNECTIONS, 4), durationMs: scale(1_000, 100) };
    return (await clients.calls.call('createTasks', load)) as Figures;
  };
  const path = 'create over HTTP';
  const variants: [string, TaskBridgeOptions, { reach?: Reach }][] = [
    ['instance without executor', {}, { reach: atLeast(0.6) }],
    ['handed to an executor that does nothing', { execution: {}, executor: EagerExecutor }, {}],
    ['run and completed by a handler meanwhile', { execution: {} }, {}],
  ];
  for (const [variant, options, reach] of variants) {
    // A database each: an instance with an executor would take the tasks of the one without.
    const database = await context.database();
    const barePort = await bareRoute(context, database);
    const app = await openInstance(
      context,
      database,
      options,
      options.executor || !options.execution ? [] : [ImportHandler],
    );
    const measured = await pairs(create(barePort), create(Number(new URL(app.origin).port)));
    report.compare(measured, { path, variant, figure: 'rate', unit: 'tasks/s', ...reach });
    report.compare(measured, { path, variant: `${variant}, p99`, figure: 'p99', unit: 'ms' });
  }
});
