import { execFile, fork, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { ERROR_CODES } from '@taskbridge/protocol';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { HttpClient } from '../support/http-client.js';

/** What the README leaves to the reader: a host for the two snippets that are no app of their own. */
const REST_OF_A_HOST = `
import { Controller, Module, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { OrdersService } from './orders.service.js';
import { PublishHandler } from './publish.handler.js';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskBridgeModule } from '@taskbridge/nestjs';
import { BearerAuth } from './bearer-auth.js';
import { GreetingHandler } from './app.module.js';

@Controller('orders')
class OrdersController {
  constructor(orders: OrdersService) { this.orders = orders; }
  orders: OrdersService;
  @Post() place() {
    return this.orders.place({ subject: 'ada', scopes: [], appId: null, attributes: {} }, 'o-1');
  }
}
@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL, autoLoadEntities: true }),
    TaskBridgeModule.forRoot({ runMigrations: true, authContextResolver: BearerAuth }),
  ],
  controllers: [OrdersController],
  providers: [GreetingHandler, PublishHandler, OrdersService],
})
class Host {}
const app = await NestFactory.create(Host, new FastifyAdapter());
await app.listen(process.env.PORT);
`;

describe('the README', () => {
  let database: TestDatabase;
  let readme: string;
  let folder: string;
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    database = await createTestDatabase();
    readme = await readFile('README.md', 'utf8');
    await mkdir('.data', { recursive: true });
    folder = await mkdtemp(path.resolve('.data', 'readme-'));
    for (const [, name, code] of readme.matchAll(/```\w+ file=(\S+)\n([\s\S]*?)```/g)) {
      await writeFile(path.join(folder, name ?? ''), code ?? '');
    }
    await writeFile(path.join(folder, 'rest.ts'), REST_OF_A_HOST);
  });

  afterAll(async () => {
    for (const child of children) child.kill('SIGKILL');
    await eventually(() => children.every((child) => child.exitCode !== null || child.signalCode !== null));
    await rm(folder, { recursive: true });
    await database.drop();
  });

  const run = async (program: string): Promise<{ port: number; url: string }> => {
    const port = await freePort();
    const child = fork(path.join(folder, program), [], {
      execArgv: ['--no-warnings', '--import', path.resolve('test/support/typescript-loader.mjs')],
      env: { PATH: process.env['PATH'], DATABASE_URL: database.url, PORT: String(port) },
      silent: true,
    });
    children.push(child);
    const url = `http://127.0.0.1:${port}`;
    await eventually(async () => (await fetch(`${url}/ready`).catch(() => undefined))?.status === 200, 30_000);
    return { port, url };
  };

  it('shows the smallest module, complete, before line 25', () => {
    const head = readme.split('\n').slice(0, 24).join('\n');
    expect(head).toContain('TaskBridgeModule.forRoot');
    expect(head).toContain('export class AppModule {}');
  });

  it('has a module, a resolver, a main file and curl lines that work as they stand', async () => {
    const { port } = await run('main.ts');
    const script = (await readFile(path.join(folder, 'try.sh'), 'utf8')).replaceAll(
      'localhost:3000',
      `localhost:${port}`,
    );
    const { stdout } = await promisify(execFile)('bash', ['-c', script]);
    expect(stdout).toMatch(/id: 1-0\ndata: \{"type":"TASK_STARTED"/);
    expect(stdout).toContain('"payload":{"result":{"text":"Hello Ada"}}');
  });

  it('has a handler that asks a person and a service that creates in its own transaction, and both work', async () => {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query('create table orders (id text primary key)');
    const { url } = await run('rest.ts');
    const ada = new HttpClient(url, 'ada');
    const taskId = await ada.create('article.publish', { title: 'News' });
    const { openSuspensions } = await ada.until(taskId, (task) => task.openSuspensions.length === 1);
    const suspendId = openSuspensions[0]?.suspendId;
    await ada.post(`/api/v1/tasks/${taskId}/actions`, { clientActionId: 'a', suspendId, actionType: 'approve' });
    const task = await ada.until(taskId, ({ status }) => status === 'COMPLETED');
    expect(task.result).toEqual({ published: true, by: 'ada' });

    const placed = await ada.post('/orders');
    expect(placed.body).toMatchObject({ clientRequestId: 'order-o-1', deduplicated: false });
    await ada.until(String(placed.body['taskId']), ({ status }) => status === 'COMPLETED');
    const { rows } = await client.query('select id from orders');
    await client.end();
    expect(rows).toEqual([{ id: 'o-1' }]);
  });

  it('lists every error code with its status', () => {
    const rows = [...readme.matchAll(/^\| `([A-Z_]+)`\s+\| (\d{3})\s+\|/gm)].map(([, code, status]) => [
      code,
      Number(status),
    ]);
    expect(Object.fromEntries(rows)).toEqual(ERROR_CODES);
    expect(rows).toHaveLength(Object.keys(ERROR_CODES).length);
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
