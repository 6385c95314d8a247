import {
  type ArgumentMetadata,
  type CallHandler,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  type NestInterceptor,
  Param,
  type PipeTransform,
  Post,
  Body,
  type ArgumentsHost,
  BadRequestException,
  ValidationPipe,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { TypeOrmModule } from '@nestjs/typeorm';
import { WebSocketGateway } from '@nestjs/websockets';
import type { FastifyReply } from 'fastify';
import { map } from 'rxjs';
import { Column, DataSource, Entity, PrimaryColumn } from 'typeorm';
import { v7 as uuidv7 } from 'uuid';
import { WebSocket } from 'ws';
import {
  type AuthContext,
  AuthContextResolver,
  type AuthRequest,
  TASKBRIDGE_ENTITIES,
  TaskBridgeModule,
  TaskCreationService,
  TaskEventStream,
  TaskQueryService,
} from '../../lib/index.js';
import { BearerNames, startTestApp, type TestApp } from '../support/app.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { eventually } from '../support/eventually.js';
import { HttpClient } from '../support/http-client.js';
import { SCRIPTED_HANDLERS } from '../support/scripted-handlers.js';
import { oneTo, readSse, readWebSocket, seqsOf } from '../support/stream-clients.js';

@Entity('widgets')
class Widget {
  @PrimaryColumn('text')
  id: string;

  @Column('text')
  name: string;
}

@Controller('widgets')
class WidgetsController {
  @Get(':id')
  read(@Param('id') id: string): object {
    return { id };
  }

  @Post()
  make(@Body() body: object): object {
    if (Object.keys(body).length === 0) throw new BadRequestException('empty');
    return { made: body };
  }
}

@Injectable()
class ShoutingPipe implements PipeTransform {
  transform(value: unknown, { type }: ArgumentMetadata): unknown {
    return type === 'param' && typeof value === 'string' ? value.toUpperCase() : value;
  }
}

@Injectable()
class WrappingInterceptor implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): ReturnType<NestInterceptor['intercept']> {
    return next.handle().pipe(map((data: unknown) => ({ wrapped: data })));
  }
}

@Catch()
class TeapotFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    void host.switchToHttp().getResponse<FastifyReply>().status(418).send({ host: 'teapot' });
  }
}

@Injectable()
class CountingGuard implements CanActivate {
  static calls = 0;
  canActivate(): boolean {
    CountingGuard.calls += 1;
    return true;
  }
}

describe('a host with its own global pipes, interceptors, filters, guards and prefix', () => {
  let host: TestApp;

  beforeAll(async () => {
    host = await startTestApp({
      providers: SCRIPTED_HANDLERS,
      controllers: [WidgetsController],
      taskBridge: { http: { tasksPath: '/projects/:projectId/tasks', healthPath: false, readyPath: '/ready' } },
      configure: (app) => {
        app.setGlobalPrefix('api');
        app.useGlobalPipes(new ValidationPipe({ whitelist: true, transform: true }), new ShoutingPipe());
        app.useGlobalInterceptors(new WrappingInterceptor());
        app.useGlobalFilters(new TeapotFilter());
        app.useGlobalGuards(new CountingGuard());
      },
    });
  });

  afterAll(() => host.close());

  it('keeps its own routes as they were', async () => {
    const ada = host.as('ada');
    expect((await ada.get('/api/widgets/x')).body).toEqual({ wrapped: { id: 'X' } });
    expect((await ada.post('/api/widgets', {})).status).toBe(418);
    expect((await ada.post('/api/widgets', '{')).status).toBe(418);
    expect((await ada.get('/health')).status).toBe(418);
  });

  it('does not change what the task routes answer', async () => {
    const ada = new HttpClient(host.url, 'ada', '/api/projects/p1/tasks');
    const calls = CountingGuard.calls;
    const taskId = await ada.create('ticks', { ticks: 2 });
    expect(CountingGuard.calls).toBe(calls + 1);
    const task = await ada.until(taskId, ({ status }) => status === 'COMPLETED');
    expect(task).toMatchObject({ taskId, result: { ticks: 2 } });
    const refused = await ada.post('/api/projects/p1/tasks', { clientRequestId: 'x' });
    expect([refused.status, refused.body['code']]).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
    const malformed = await ada.post('/api/projects/p1/tasks', '{');
    expect([malformed.status, malformed.body['code']]).toEqual([400, 'INVALID_REQUEST']);
  });

  it('has its WebSocket path outside the prefix', async () => {
    const ada = new HttpClient(host.url, 'ada', '/api/projects/p1/tasks');
    const taskId = await ada.create('ticks', { ticks: 2 });
    const { events, code } = await readWebSocket(host.url, taskId, { subject: 'ada' });
    expect([code, seqsOf(events)]).toEqual([1000, oneTo(4)]);
  });
});

class ProjectMembers extends AuthContextResolver {
  static seen: AuthRequest[] = [];

  resolve(request: AuthRequest): AuthContext | null {
    ProjectMembers.seen.push(request);
    const projectId = request.params['projectId'];
    if (projectId !== 'mine') return null;
    return { subject: `member-of-${projectId}`, scopes: [], appId: null, attributes: { projectId } };
  }
}

it('host path parameters reach the resolver on every route', async () => {
  const host = await startTestApp({
    providers: SCRIPTED_HANDLERS,
    taskBridge: { authContextResolver: ProjectMembers, http: { tasksPath: '/projects/:projectId/tasks' } },
  });
  try {
    const mine = new HttpClient(host.url, null, '/projects/mine/tasks');
    const taskId = await mine.create('ticks', { ticks: 1 });
    expect((await mine.get(`/projects/mine/tasks/${taskId}/events`)).status).toBe(200);
    expect((await mine.get(`/projects/other/tasks/${taskId}`)).status).toBe(401);
    expect(ProjectMembers.seen.at(-1)?.params).toMatchObject({ projectId: 'other', taskId });
  } finally {
    await host.close();
  }
});

describe('other ways to boot', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  const boot = async (module: unknown, adapter = new FastifyAdapter()): Promise<NestFastifyApplication> => {
    const app = await NestFactory.create<NestFastifyApplication>(module as never, adapter, {
      logger: false,
      abortOnError: false,
    });
    return app;
  };

  const postgres = (extra: object = {}) =>
    TypeOrmModule.forRoot({ type: 'postgres', url: database.url, autoLoadEntities: true, ...extra });

  it('refuses Express with a message that says so', async () => {
    @Module({ imports: [postgres(), TaskBridgeModule.forRoot({ runMigrations: true })] })
    class OnExpress {}
    const app = await NestFactory.create(OnExpress, new ExpressAdapter(), { logger: false, abortOnError: false });
    await expect(app.init()).rejects.toThrow(/Fastify/);
    await app.close();
  });

  it('takes its settings from a factory and its tables from a named DataSource and schema', async () => {
    const schema = `tb_${uuidv7().slice(-8)}`;
    @Module({ providers: [{ provide: 'TUNING', useValue: { leaseMs: 2_000 } }], exports: ['TUNING'] })
    class TuningModule {}
    @Module({
      imports: [
        TypeOrmModule.forRoot({
          name: 'tasks',
          type: 'postgres',
          url: database.url,
          schema,
          autoLoadEntities: true,
        } as object),
        TaskBridgeModule.forRootAsync({
          dataSource: 'tasks',
          isGlobal: true,
          runMigrations: true,
          authContextResolver: BearerNames,
          http: { tasksPath: '/jobs' },
          webSocket: { path: '/jobs-live' },
          imports: [TuningModule],
          inject: ['TUNING'],
          useFactory: (tuning: { leaseMs: number }) => ({ execution: tuning }),
        }),
      ],
      providers: SCRIPTED_HANDLERS,
    })
    class NamedHost {}
    const app = await boot(NamedHost);
    await app.listen(0, '127.0.0.1');
    try {
      const url = await app.getUrl();
      const ada = new HttpClient(url, 'ada', '/jobs');
      const taskId = await ada.create('ticks', { ticks: 1 });
      await ada.until(taskId, ({ status }) => status === 'COMPLETED');
      const rows: unknown[] = await app
        .get<DataSource>('tasksDataSource', { strict: false })
        .query(`select seq from "${schema}".taskbridge_events order by seq`);
      expect(rows).toHaveLength(3);
      const socket = new WebSocket(`${url.replace('http', 'ws')}/jobs-live`, {
        headers: { authorization: 'Bearer ada' },
      });
      await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
      socket.terminate();
    } finally {
      await app.close();
    }
  });

  it('works beside a host’s own entities, with synchronize, and its own WebSocket gateway', async () => {
    @WebSocketGateway({ path: '/chat' })
    class ChatGateway {
      handleConnection(client: WebSocket): void {
        client.send('welcome');
      }
    }
    @Module({
      imports: [
        postgres({ synchronize: true, entities: [Widget] }),
        TypeOrmModule.forFeature([Widget]),
        TaskBridgeModule.forRoot({ runMigrations: true, authContextResolver: BearerNames }),
      ],
      providers: [...SCRIPTED_HANDLERS, ChatGateway],
    })
    class ChattyHost {}
    const app = await boot(ChattyHost);
    app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    try {
      const url = await app.getUrl();
      const chat = new WebSocket(`${url.replace('http', 'ws')}/chat`);
      const greeting = await new Promise((resolve) => chat.on('message', (data: Buffer) => resolve(data.toString())));
      chat.terminate();
      expect(greeting).toBe('welcome');
      const taskId = await new HttpClient(url, 'ada').create('ticks', { ticks: 2 });
      const { code } = await readWebSocket(url, taskId, { subject: 'ada' });
      expect(code).toBe(1000);
      await app.get(DataSource).getRepository(Widget).save({ id: '1', name: 'one' });
    } finally {
      await app.close();
    }
  });

  it('boots as a worker without HTTP, and an app without execution hands it the work', async () => {
    @Module({
      imports: [postgres(), TaskBridgeModule.forRoot({ http: false, webSocket: false, runMigrations: true })],
      providers: SCRIPTED_HANDLERS,
    })
    class Worker {}
    @Module({
      imports: [
        postgres(),
        TaskBridgeModule.forRoot({
          execution: false,
          webSocket: false,
          runMigrations: true,
          authContextResolver: BearerNames,
        }),
      ],
    })
    class Front {}
    const [worker, front] = await Promise.all([
      NestFactory.createApplicationContext(Worker, { logger: false, abortOnError: false }),
      boot(Front),
    ]);
    await front.listen(0, '127.0.0.1');
    try {
      const url = await front.getUrl();
      const taskId = await new HttpClient(url, 'ada').create('ticks', { ticks: 3 });
      const { events } = await readSse(url, taskId, { subject: 'ada' });
      expect(seqsOf(events)).toEqual(oneTo(5));
      const seen: string[] = [];
      worker
        .get(TaskEventStream, { strict: false })
        .events$(taskId, '3-0')
        .subscribe((event) => seen.push(event.eventId));
      await eventually(() => seen.length === 2);
      expect(seen).toEqual(['4-0', '5-0']);
    } finally {
      await Promise.all([worker.close(), front.close()]);
    }
  });

  it('two instances that boot at once on an empty database both succeed', async () => {
    const empty = await createTestDatabase();
    try {
      const instances = await Promise.all([
        startTestApp({ database: empty, providers: SCRIPTED_HANDLERS }),
        startTestApp({ database: empty, providers: SCRIPTED_HANDLERS }),
      ]);
      for (const { url } of instances) expect((await fetch(`${url}/ready`)).status).toBe(200);
      await Promise.all(instances.map((instance) => instance.close()));
    } finally {
      await empty.drop();
    }
  });

  it('refuses to boot without its tables and says what to do', async () => {
    const empty = await createTestDatabase();
    try {
      const boots = startTestApp({ database: empty, taskBridge: { runMigrations: false } });
      await expect(boots).rejects.toThrow(/runMigrations: true/);
    } finally {
      await empty.drop();
    }
  });

  it('runs its migrations in the host’s own TypeORM runner as well', async () => {
    const own = await createTestDatabase();
    try {
      const { createTaskBridgeMigrations } = await import('../../lib/index.js');
      const dataSource = new DataSource({
        type: 'postgres',
        url: own.url,
        entities: [...TASKBRIDGE_ENTITIES],
        migrations: createTaskBridgeMigrations(),
        migrationsRun: true,
      });
      await dataSource.initialize();
      await dataSource.destroy();
      const host = await startTestApp({ database: own, taskBridge: { runMigrations: false } });
      expect((await host.as('ada').get('/api/v1/tasks')).body).toEqual({ items: [], nextCursor: null });
      await host.close();
    } finally {
      await own.drop();
    }
  });
});

describe('creating a task in the host’s transaction', () => {
  let host: TestApp;
  const auth: AuthContext = { subject: 'ada', scopes: [], appId: null, attributes: {} };

  beforeAll(async () => {
    host = await startTestApp({ providers: SCRIPTED_HANDLERS });
    await host.get(DataSource).query('create table orders (id text primary key)');
  });

  afterAll(() => host.close());

  it('submits nothing before the commit', async () => {
    const tasks = host.get(TaskCreationService);
    const dataSource = host.get(DataSource);
    const { taskId } = await dataSource.transaction(async (manager) => {
      await manager.query(`insert into orders values ('kept')`);
      const created = await tasks.createTask(
        { auth, clientRequestId: 'kept', taskType: 'ticks', input: { ticks: 1 } },
        { manager },
      );
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect((await host.as('ada').get(`/api/v1/tasks/${created.taskId}`)).status).toBe(404);
      return created;
    });
    const task = await host.as('ada').until(taskId, ({ status }) => status === 'COMPLETED');
    expect(task.clientRequestId).toBe('kept');
  });

  it('leaves nothing when it rolls back', async () => {
    const tasks = host.get(TaskCreationService);
    const dataSource = host.get(DataSource);
    let taskId = '';
    const failure = dataSource.transaction(async (manager) => {
      await manager.query(`insert into orders values ('dropped')`);
      ({ taskId } = await tasks.createTask({ auth, clientRequestId: 'dropped', taskType: 'ticks' }, { manager }));
      throw new Error('the host changed its mind');
    });
    await expect(failure).rejects.toThrow('changed its mind');
    await expect(host.get(TaskQueryService).snapshot(taskId)).rejects.toMatchObject({ code: 'TASK_NOT_FOUND' });
    expect(await dataSource.query(`select id from orders where id = 'dropped'`)).toEqual([]);
  });

  it('keeps a transaction alive whose key existed already', async () => {
    const tasks = host.get(TaskCreationService);
    const command = { auth, clientRequestId: 'twice', taskType: 'ticks', input: { ticks: 1 } };
    const first = await tasks.createTask(command);
    const second = await host.get(DataSource).transaction(async (manager) => {
      const repeated = await tasks.createTask(command, { manager });
      await manager.query(`insert into orders values ('after')`);
      return repeated;
    });
    expect(second).toMatchObject({ taskId: first.taskId, deduplicated: true });
  });
});

describe('guards of the host', () => {
  class DenyingGuard implements CanActivate {
    canActivate(): boolean {
      return false;
    }
  }

  it('that deny authentication close HTTP, SSE and WebSocket alike', async () => {
    const host = await startTestApp({ taskBridge: { guards: { auth: DenyingGuard } } });
    try {
      const taskId = uuidv7();
      expect((await host.as('ada').get('/api/v1/tasks')).status).toBe(401);
      expect((await readSse(host.url, taskId, { subject: 'ada' })).status).toBe(401);
      await expect(readWebSocket(host.url, taskId, { subject: 'ada' })).rejects.toThrow('401');
    } finally {
      await host.close();
    }
  });

  it('that deny ownership close HTTP, SSE and WebSocket alike', async () => {
    const open = await startTestApp({ providers: SCRIPTED_HANDLERS });
    const host = await startTestApp({ database: open.database, taskBridge: { guards: { ownership: DenyingGuard } } });
    try {
      const taskId = await open.as('ada').create('ticks', { ticks: 1 });
      expect((await host.as('ada').get(`/api/v1/tasks/${taskId}`)).status).toBe(404);
      expect((await readSse(host.url, taskId, { subject: 'ada' })).status).toBe(404);
      const { code, reason, events } = await readWebSocket(host.url, taskId, { subject: 'ada' });
      expect([code, reason, events]).toEqual([1008, expect.stringContaining('TASK_NOT_FOUND'), []]);
    } finally {
      await host.close();
      await open.close();
    }
  });
});
