import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

const run = promisify(execFile);

/** A host that was written as CommonJS, without decorators' help, against the built package. */
const HOST = `
const { Module } = require('@nestjs/common');
const { NestFactory } = require('@nestjs/core');
const { FastifyAdapter } = require('@nestjs/platform-fastify');
const { TypeOrmModule } = require('@nestjs/typeorm');
const { TaskBridgeModule, TaskCreationService, TaskHandler, TaskQueryService } = require(process.env.PACKAGE);
const { DeterministicFakeExecutor } = require(process.env.PACKAGE + '/testing/index.js');

class Greeting { async run(task) { return { text: 'Hello ' + task.input.name }; } }
TaskHandler('greeting')(Greeting);
class Host {}
Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url: process.env.DATABASE_URL, autoLoadEntities: true }),
    TaskBridgeModule.forRoot({ runMigrations: true }),
  ],
  providers: [Greeting],
})(Host);

(async () => {
  const app = await NestFactory.create(Host, new FastifyAdapter(), { logger: false });
  await app.listen(0, '127.0.0.1');
  const auth = { subject: 'ada', scopes: [], appId: null, attributes: {} };
  const command = { auth, clientRequestId: 'one', taskType: 'greeting', input: { name: 'Ada' } };
  const { taskId } = await app.get(TaskCreationService).createTask(command);
  let task;
  do task = await app.get(TaskQueryService).snapshot(taskId); while (task.finishedAt === null);
  await app.close();
  console.log(JSON.stringify({ result: task.result, fake: typeof DeterministicFakeExecutor }));
})();
`;

describe('the built package', () => {
  let database: TestDatabase;
  let folder: string;
  let dist: string;

  beforeAll(async () => {
    database = await createTestDatabase();
    await mkdir('.data', { recursive: true });
    folder = await mkdtemp(path.resolve('.data', 'package-'));
    dist = path.join(folder, 'dist');
    await run(process.execPath, ['node_modules/typescript-7/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', dist]);
  });

  afterAll(async () => {
    await rm(folder, { recursive: true });
    await database.drop();
  });

  it('is required by a CommonJS host, which boots and runs a task', async () => {
    await writeFile(path.join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(path.join(folder, 'host.cjs'), HOST);
    const { stdout } = await run(process.execPath, ['--no-warnings', path.join(folder, 'host.cjs')], {
      env: { PATH: process.env['PATH'], DATABASE_URL: database.url, PACKAGE: dist },
      timeout: 30_000,
    });
    expect(JSON.parse(stdout)).toEqual({ result: { text: 'Hello Ada' }, fake: 'function' });
  });

  it('keeps the optional peers and every engine out of its main entry', async () => {
    const optional = ['@nestjs/swagger', '@nestjs/terminus', 'prom-client'];
    const reached = await importsOf(path.join(dist, 'index.js'));
    expect(reached.size).toBeGreaterThan(20);
    expect(optional.filter((name) => reached.has(name))).toEqual([]);
  });
});

/** Names of all packages that a built file imports, through its own relative imports. */
async function importsOf(entry: string, seen = new Set<string>()): Promise<Set<string>> {
  if (seen.has(entry)) return new Set();
  seen.add(entry);
  const names = new Set<string>();
  const source = await readFile(entry, 'utf8');
  for (const [, specifier = ''] of source.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
    if (!specifier.startsWith('.')) names.add(specifier);
    else for (const name of await importsOf(path.resolve(path.dirname(entry), specifier), seen)) names.add(name);
  }
  return names;
}
