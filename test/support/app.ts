import { type Abstract, type DynamicModule, Module, type Provider, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { TASKBRIDGE_ENTITIES } from '../../lib/entities/index.js';
import { AuthContextResolver, type AuthContext, type AuthRequest } from '../../lib/security/auth-context.js';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import type { TaskBridgeOptions } from '../../lib/taskbridge.options.js';
import { createTestDatabase, type TestDatabase } from './database.js';
import { HttpClient } from './http-client.js';

/** `Authorization: Bearer <name>` is subject `<name>`; anything else is nobody. */
export class BearerNames extends AuthContextResolver {
  resolve({ headers }: AuthRequest): AuthContext | null {
    const [, subject] = /^Bearer ([\w-]+)$/.exec(headers.authorization ?? '') ?? [];
    return subject === undefined ? null : { subject, scopes: [], appId: null, attributes: {} };
  }
}

export interface TestAppOptions {
  /** Beside a resolver of bearer names and migrations at boot. */
  taskBridge?: TaskBridgeOptions;
  /** A second instance on the database of the first; otherwise a fresh one, dropped at `close`. */
  database?: TestDatabase;
  /** Of an instance that was here before; otherwise a free one. */
  port?: number;
  /** `@TaskHandler` classes and other providers of the host. */
  providers?: Provider[];
  controllers?: Type[];
  imports?: (Type | DynamicModule)[];
  adapter?: FastifyAdapter;
  /** Before `init`: global pipes, prefixes, versioning. */
  configure?(app: NestFastifyApplication): void | Promise<void>;
}

export interface TestApp {
  app: NestFastifyApplication;
  /** Without a slash at its end. */
  url: string;
  database: TestDatabase;
  get<T>(token: Type<T> | Abstract<T>): T;
  /** Rows of a statement on the app's own DataSource. */
  query<T>(statement: string, parameters?: unknown[]): Promise<T[]>;
  /** A client of the app as this subject; `null` sends no credentials. */
  as(subject: string | null): HttpClient;
  close(): Promise<void>;
}

/** A host's app with the module in it, listening on a free port of the loopback interface. */
export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const database = options.database ?? (await createTestDatabase());
  const dropOwn = () => (options.database === undefined ? database.drop() : undefined);
  try {
    const app = await bootApp(database, options);
    const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
    return {
      app,
      url,
      database,
      get: (token) => app.get(token, { strict: false }),
      query: (statement, parameters) => app.get(DataSource).query(statement, parameters),
      as: (subject) => new HttpClient(url, subject),
      close: async () => {
        await app.close();
        await dropOwn();
      },
    };
  } catch (error) {
    await dropOwn();
    throw error;
  }
}

async function bootApp(database: TestDatabase, options: TestAppOptions): Promise<NestFastifyApplication> {
  class HostModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: database.url, entities: [...TASKBRIDGE_ENTITIES] }),
      TaskBridgeModule.forRoot({ authContextResolver: BearerNames, runMigrations: true, ...options.taskBridge }),
      ...(options.imports ?? []),
    ],
    controllers: options.controllers ?? [],
    providers: options.providers ?? [],
  })(HostModule);
  const adapter = options.adapter ?? new FastifyAdapter();
  const app = await NestFactory.create<NestFastifyApplication>(HostModule, adapter, {
    logger: false,
    abortOnError: false,
  });
  try {
    await options.configure?.(app);
    await app.listen(options.port ?? 0, '127.0.0.1');
    return app;
  } catch (error) {
    await app.close();
    throw error;
  }
}
