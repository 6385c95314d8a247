import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskBridgeModule } from '../../../lib/taskbridge.module.js';
import { BearerNames } from '../../support/app.js';
import { answerCalls } from './child-calls.js';
import { armCrash } from './crash-points.js';
import { FAULT_HANDLERS } from './fault-handlers.js';
import type { BootOptions } from './fault-host.js';
import { skewClock } from './skewed-clock.js';

// One instance of an app; it loads its code at once and boots when `FaultHost` tells it to.

async function boot({
  databaseUrl,
  clockOffsetMs = 0,
  crashAt,
  queryTimeoutMs,
  options,
}: BootOptions): Promise<string> {
  skewClock(clockOffsetMs);
  class HostModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({
        type: 'postgres',
        url: databaseUrl,
        autoLoadEntities: true,
        poolSize: 12,
        retryAttempts: 100,
        retryDelay: 200,
        connectTimeoutMS: 5_000,
        ...(queryTimeoutMs !== undefined && { extra: { query_timeout: queryTimeoutMs } }),
      }),
      TaskBridgeModule.forRoot({ runMigrations: true, authContextResolver: BearerNames, ...options }),
    ],
    providers: FAULT_HANDLERS,
  })(HostModule);
  const adapter = new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(HostModule, adapter, {
    logger: ['error', 'warn'],
    abortOnError: false,
  });
  app.enableShutdownHooks();
  await app.listen(0, '127.0.0.1');
  if (crashAt !== undefined) armCrash(crashAt);
  return (await app.getUrl()).replace('[::1]', '127.0.0.1');
}

answerCalls({ boot, skewClock, armCrash });
process.send?.({ call: 0, value: null });
