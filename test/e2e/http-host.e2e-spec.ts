import {
  Body,
  type CallHandler,
  type CanActivate,
  Catch,
  type ArgumentsHost,
  Controller,
  type ExceptionFilter,
  ExecutionContext,
  ForbiddenException,
  Get,
  Injectable,
  type NestInterceptor,
  Post,
  SetMetadata,
  UseFilters,
  ValidationPipe,
  VersioningType,
} from '@nestjs/common';
import multipart, {
  type FastifyMultipartAttachFieldsToBodyOptions,
  type FastifyMultipartOptions,
} from '@fastify/multipart';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { Test } from '@nestjs/testing';
import { decorateForSwagger } from '@taskbridge/nestjs/swagger';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { FastifyReply } from 'fastify';
import { map, type Observable } from 'rxjs';
import { v7 as uuidv7 } from 'uuid';
import { TaskBridgeExceptionFilter } from '../../lib/controllers/taskbridge-exception.filter.js';
import { AuthContextResolver, type AuthContext, type AuthRequest } from '../../lib/security/auth-context.js';
import { OwnershipPolicy } from '../../lib/security/ownership-policy.js';
import { TaskAuthGuard } from '../../lib/security/task-auth.guard.js';
import { TaskRequestAuthorizer } from '../../lib/security/task-request-authorizer.js';
import { TaskBridgeError } from '../../lib/taskbridge.errors.js';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import { BearerNames, startTestApp, type TestApp, type TestAppOptions } from '../support/app.js';
import { createTestDatabase } from '../support/database.js';
import { TEST_HANDLERS } from '../support/handlers.js';
import { HttpClient, type HttpAnswer } from '../support/http-client.js';

const TASKS = '/api/v1/tasks';
const UNKNOWN = '0196a000-0000-7000-8000-000000000000';
const summary = ({ status, body }: HttpAnswer): [number, unknown] => [status, body['code'] ?? body['status']];
const create = (): Record<string, unknown> => ({ clientRequestId: uuidv7(), taskType: 'echo' });

/** Runs the test on an app of its own. */
async function withApp(options: TestAppOptions, test: (app: TestApp) => Promise<void>): Promise<void> {
  const app = await startTestApp({ providers: TEST_HANDLERS, ...options });
  try {
    await test(app);
  } finally {
    await app.close();
  }
}

@Injectable()
class WrapEverything implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((data: unknown) => ({ wrapped: data })));
  }
}

@Catch()
class TeapotFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    void host.switchToHttp().getResponse<FastifyReply>().status(418).send({ teapot: true });
  }
}

@Controller('contacts')
class ContactsController {
  @Get()
  list(): string[] {
    return ['ada'];
  }

  @Post()
  add(@Body() body: unknown): unknown {
    return body;
  }

  @Get('taken')
  @UseFilters(TaskBridgeExceptionFilter)
  taken(): never {
    throw new TaskBridgeError('IDEMPOTENCY_CONFLICT', 'taken');
  }
}

describe('in a host with globals of its own', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startTestApp({
      providers: TEST_HANDLERS,
      controllers: [ContactsController],
      configure: (host) => {
        host.setGlobalPrefix('backend');
        host.enableVersioning({ type: VersioningType.URI, defaultVersion: '1' });
        host.useGlobalPipes(new ValidationPipe({ whitelist: true, transform: true, forbidNonWhitelisted: true }));
        host.useGlobalInterceptors(new WrapEverything());
        host.useGlobalFilters(new TeapotFilter());
      },
    });
  });

  afterAll(() => app.close());

  it('keeps the wire of its routes, below the prefix and without a version', async () => {
    const ada = app.as('ada');
    const created = await ada.post(`/backend${TASKS}`, create());
    expect(Object.keys(created.body).toSorted()).toEqual(['clientRequestId', 'deduplicated', 'status', 'taskId']);
    const path = `/backend${TASKS}/${String(created.body['taskId'])}`;
    expect((await ada.get(path)).body).toMatchObject({ taskType: 'echo' });
    expect((await ada.get(`${path}/events?waitTimeoutMs=0`)).body).toMatchObject({ hasMore: false });
    expect((await ada.get(`/backend${TASKS}`)).body).toMatchObject({ nextCursor: null });
    expect((await ada.get('/backend/health')).body).toEqual({ status: 'ok' });
    const stream = await ada.get(`${path}/events/stream?lastEventId=0`);
    expect(stream.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  });

  it('keeps the envelopes of its refusals', async () => {
    const ada = app.as('ada');
    const path = `/backend${TASKS}`;
    expect(summary(await ada.post(path, { taskType: 1 }))).toEqual([422, 'REQUEST_VALIDATION_ERROR']);
    expect(summary(await ada.post(path, '{'))).toEqual([400, 'INVALID_REQUEST']);
    expect(summary(await ada.get(`${path}/${UNKNOWN}`))).toEqual([404, 'TASK_NOT_FOUND']);
    expect(summary(await ada.get(`${path}/${UNKNOWN}/events/stream`))).toEqual([404, 'TASK_NOT_FOUND']);
    expect(summary(await app.as(null).get(path))).toEqual([401, 'AUTHENTICATION_ERROR']);
  });

  it("leaves the host's routes as they are", async () => {
    const host = app.as(null);
    expect((await host.get('/backend/v1/contacts')).body).toEqual({ wrapped: ['ada'] });
    expect(await host.post('/backend/v1/contacts', '{')).toMatchObject({ status: 418, body: { teapot: true } });
    const form = await host.send('POST', '/backend/v1/contacts', 'a=1', {
      'content-type': 'application/x-www-form-urlencoded',
    });
    expect(form).toMatchObject({ status: 201, body: { wrapped: { a: '1' } } });
    expect((await host.get('/backend/nowhere')).status).toBe(418);
  });

  it("answers in the same shape from the host's controllers that carry the filter", async () => {
    expect(summary(await app.as(null).get('/backend/v1/contacts/taken'))).toEqual([409, 'IDEMPOTENCY_CONFLICT']);
  });
});

/** Owners are projects: the subject is the path's project, for its members only. */
class ProjectMembers extends AuthContextResolver {
  readonly seen: AuthRequest[] = [];
  resolve(request: AuthRequest): AuthContext | null {
    this.seen.push(request);
    const project = request.params['projectId'];
    const isMember = request.headers.authorization === `Bearer member-of-${project}`;
    return project !== undefined && isMember ? { subject: project, scopes: [], appId: null, attributes: {} } : null;
  }
}

describe('paths of the host', () => {
  it('may have parameters, which reach the resolver', async () => {
    const http = { tasksPath: '/projects/:projectId/tasks', healthPath: false, readyPath: '/internal/ready' } as const;
    await withApp({ taskBridge: { http, authContextResolver: ProjectMembers } }, async (app) => {
      const member = app.as('member-of-apollo');
      const created = await member.post('/projects/apollo/tasks?dry=1', create());
      expect(created.status).toBe(201);
      const resolver = app.get<AuthContextResolver>(AuthContextResolver) as ProjectMembers;
      expect(resolver.seen[0]).toMatchObject({
        method: 'POST',
        url: '/projects/apollo/tasks?dry=1',
        params: { projectId: 'apollo' },
        query: { dry: '1' },
        transport: 'http',
      });
      const id = String(created.body['taskId']);
      expect((await member.get(`/projects/apollo/tasks/${id}`)).status).toBe(200);
      expect(summary(await member.get(`/projects/gemini/tasks/${id}`))).toEqual([401, 'AUTHENTICATION_ERROR']);
      const gemini = app.as('member-of-gemini');
      expect(summary(await gemini.get(`/projects/gemini/tasks/${id}`))).toEqual([404, 'TASK_NOT_FOUND']);
      expect((await member.get('/health')).status).toBe(404);
      expect((await member.get('/internal/ready')).status).toBe(200);
      await member.get(`/projects/apollo/tasks/${id}/events/stream`);
      expect(resolver.seen.at(-1)?.transport).toBe('sse');
    });
  });
});

describe("the host's own OpenAPI document", () => {
  it("has the library's routes at the host's paths, with their parameters and schemas", async () => {
    const http = { tasksPath: '/projects/:projectId/tasks' };
    const taskBridge = { http, controllerDecorators: [decorateForSwagger] };
    await withApp({ taskBridge, controllers: [ContactsController] }, async ({ app }) => {
      const { paths, components } = SwaggerModule.createDocument(app, new DocumentBuilder().build());
      const route = paths['/projects/{projectId}/tasks']?.post;
      expect(route?.parameters).toMatchObject([
        { name: 'projectId', in: 'path', required: true },
        { name: 'Idempotency-Key' },
      ]);
      expect(Object.keys(route?.responses ?? {})).toEqual(expect.arrayContaining(['200', '201', '409', '422']));
      expect(paths['/projects/{projectId}/tasks/{taskId}/events/stream']?.get).toBeDefined();
      expect(paths['/contacts']?.get?.operationId).toBe('ContactsController_list');
      expect(components?.schemas).toMatchObject({ TaskSnapshot: { required: expect.arrayContaining(['taskId']) } });
    });
  });
});

class DenyEverybody implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

class ForbidReading extends OwnershipPolicy {
  assertTaskCreate(): void {}
  assertTaskAccess(_auth: AuthContext, _task: unknown, access: string): void {
    if (access === 'read') throw new ForbiddenException('not yours');
    if (access === 'cancel') throw new TaskBridgeError('TASK_OWNERSHIP_ERROR', 'not yours to cancel');
  }
}

class LetPass implements CanActivate {
  async canActivate(): Promise<boolean> {
    return true;
  }
}

class BrokenResolver extends AuthContextResolver {
  resolve({ headers }: AuthRequest): AuthContext | null {
    if (headers.authorization === 'Bearer refused') throw new ForbiddenException('suspended account');
    if (headers.authorization === 'Bearer long')
      return { subject: 'x'.repeat(256), scopes: [], appId: null, attributes: {} };
    throw new Error('ldap://secret is unreachable');
  }
}

/** Every call to a task that a client can make over HTTP. */
const calls = (app: TestApp, taskId: string): Promise<HttpAnswer[]> => {
  const ada = app.as('ada');
  return Promise.all([
    ada.get(`${TASKS}/${taskId}`),
    ada.get(`${TASKS}/${taskId}/events`),
    ada.get(`${TASKS}/${taskId}/events/stream`),
    ada.post(`${TASKS}/${taskId}/cancel`),
    ada.post(`${TASKS}/${taskId}/actions`, { clientActionId: 'a', suspendId: 'question', actionType: 'approve' }),
  ]);
};

const Public = (): ClassDecorator => SetMetadata('public', true);

describe('guards of the host', () => {
  it('without a resolver lets nobody in', async () => {
    await withApp({ taskBridge: { authContextResolver: undefined } }, async (app) => {
      expect(summary(await app.as('ada').post(TASKS, create()))).toEqual([401, 'AUTHENTICATION_ERROR']);
      expect(summary(await app.as('ada').get(TASKS))).toEqual([401, 'AUTHENTICATION_ERROR']);
    });
  });

  it('close every route when the authentication guard denies', async () => {
    await withApp({ taskBridge: { guards: { auth: DenyEverybody } } }, async (app) => {
      for (const answer of await calls(app, UNKNOWN)) expect(summary(answer)).toEqual([401, 'AUTHENTICATION_ERROR']);
      const upgrade = { headers: { authorization: 'Bearer ada' }, url: '/ws', method: 'GET' } as never;
      await expect(app.get(TaskRequestAuthorizer).authorizeUpgrade(upgrade)).rejects.toMatchObject({
        code: 'AUTHENTICATION_ERROR',
      });
    });
  });

  it('close every route of a task when the ownership guard denies', async () => {
    await withApp({ taskBridge: { guards: { ownership: DenyEverybody } } }, async (app) => {
      const taskId = await app.as('ada').create('ask');
      for (const answer of await calls(app, taskId)) expect(summary(answer)).toEqual([404, 'TASK_NOT_FOUND']);
      const upgrade = { headers: { authorization: 'Bearer ada' }, url: '/ws', method: 'GET' } as never;
      await app.get(TaskRequestAuthorizer).authorizeUpgrade(upgrade);
      await expect(app.get(TaskRequestAuthorizer).authorizeTask(upgrade, taskId)).rejects.toMatchObject({
        code: 'TASK_NOT_FOUND',
      });
    });
  });

  it('may open tasks to everybody who is authenticated', async () => {
    await withApp({ taskBridge: { guards: { ownership: LetPass } } }, async (app) => {
      const taskId = await app.as('ada').create('echo');
      expect((await app.as('bob').get(`${TASKS}/${taskId}`)).status).toBe(200);
      expect(summary(await app.as('bob').get(`${TASKS}/${UNKNOWN}`))).toEqual([404, 'TASK_NOT_FOUND']);
    });
  });

  it('that leave no identity behind let nobody in', async () => {
    await withApp({ taskBridge: { guards: { auth: LetPass } } }, async (app) => {
      expect(summary(await app.as('ada').get(TASKS))).toEqual([401, 'AUTHENTICATION_ERROR']);
    });
  });

  it('can be overridden in a testing module', async () => {
    const database = await createTestDatabase();
    const module = await Test.createTestingModule({
      imports: [
        TypeOrmModule.forRoot({ type: 'postgres', url: database.url }),
        TaskBridgeModule.forRoot({ authContextResolver: BearerNames, runMigrations: true }),
      ],
    })
      .overrideProvider(TaskAuthGuard)
      .useClass(DenyEverybody)
      .compile();
    const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: false });
    await app.listen(0, '127.0.0.1');
    const client = new HttpClient(await app.getUrl(), 'ada');
    expect(summary(await client.get(TASKS))).toEqual([401, 'AUTHENTICATION_ERROR']);
    await app.close();
    await database.drop();
  });

  it('hide a task in the same way however the policy refuses', async () => {
    await withApp({ taskBridge: { ownershipPolicy: ForbidReading } }, async (app) => {
      const taskId = await app.as('ada').create('ask');
      const answers = await calls(app, taskId);
      expect(answers.slice(0, 4).map(summary)).toEqual(Array.from({ length: 4 }, () => [404, 'TASK_NOT_FOUND']));
      expect(answers[4]?.status).not.toBe(401);
    });
  });

  it('answer a broken resolver with a neutral 500, and keep a 403 that it means', async () => {
    await withApp({ taskBridge: { authContextResolver: BrokenResolver } }, async (app) => {
      const broken = await app.as('ada').get(TASKS);
      expect(summary(broken)).toEqual([500, 'INTERNAL_ERROR']);
      expect(JSON.stringify(broken.body)).not.toContain('ldap');
      expect(summary(await app.as('refused').get(TASKS))).toEqual([403, 'FORBIDDEN']);
      expect(summary(await app.as('long').get(TASKS))).toEqual([401, 'AUTHENTICATION_ERROR']);
    });
  });

  it("of the whole app see the decorators that the host puts on the library's controllers", async () => {
    class MembersOnly implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        return Reflect.getMetadata('public', context.getClass()) === true;
      }
    }
    const configure: TestAppOptions['configure'] = (host) => void host.useGlobalGuards(new MembersOnly());
    await withApp(
      { configure, controllers: [ContactsController], taskBridge: { controllerDecorators: [Public()] } },
      async (app) => {
        expect((await app.as('ada').get(TASKS)).status).toBe(200);
        expect((await app.as('ada').get('/health')).status).toBe(200);
        expect((await app.as('ada').get('/contacts')).status).toBe(403);
      },
    );
    await withApp({ configure }, async (app) => {
      expect(summary(await app.as('ada').get(TASKS))).toEqual([403, 'FORBIDDEN']);
    });
  });
});

const registering =
  (options: FastifyMultipartOptions | FastifyMultipartAttachFieldsToBodyOptions): TestAppOptions['configure'] =>
  async (host) => {
    await host.register(multipart, options);
  };

const form = (): FormData => {
  const data = new FormData();
  for (const [name, value] of Object.entries(create())) data.append(name, String(value));
  data.append('attachment', new Blob(['x'], { type: 'text/csv' }), 'a.csv');
  return data;
};

describe('multipart plugins of the host', () => {
  it('are used as they are', async () => {
    await withApp({ configure: registering({ limits: { fileSize: 1 } }) }, async (app) => {
      expect((await app.as('ada').post(TASKS, form())).status).toBe(201);
    });
  });

  it('that read forms on their own make uploads fail with a neutral 500', async () => {
    await withApp({ configure: registering({ attachFieldsToBody: true }) }, async (app) => {
      expect(summary(await app.as('ada').post(TASKS, form()))).toEqual([500, 'INTERNAL_ERROR']);
      expect((await app.as('ada').post(TASKS, create())).status).toBe(201);
    });
  });

  it('that are switched off leave creates as JSON', async () => {
    await withApp({ adapter: new FastifyAdapter({ multipart: false }) }, async (app) => {
      expect(summary(await app.as('ada').post(TASKS, form()))).toEqual([415, 'UNSUPPORTED_MEDIA_TYPE']);
      expect((await app.as('ada').post(TASKS, create())).status).toBe(201);
    });
  });
});

describe('on Express', () => {
  it('the module refuses at boot and says what to do', async () => {
    const database = await createTestDatabase();
    class HostModule {}
    const options = { runMigrations: true, webSocket: false } as const;
    const imports = [TypeOrmModule.forRoot({ type: 'postgres', url: database.url }), TaskBridgeModule.forRoot(options)];
    Reflect.decorate([(target) => Reflect.defineMetadata('imports', imports, target)], HostModule);
    const app = await NestFactory.create(HostModule, { logger: false, abortOnError: false });
    await expect(app.init()).rejects.toThrow(/Fastify only.*new FastifyAdapter\(\)/);
    await app.close();
    await database.drop();
  });
});
