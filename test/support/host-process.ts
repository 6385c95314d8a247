import { NestFactory } from '@nestjs/core';
import { Module } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskBridgeModule } from '../../lib/taskbridge.module.js';
import { BearerNames } from './app.js';
import { SCRIPTED_HANDLERS } from './scripted-handlers.js';

// A host's app in a process of its own; started by `forkHost`, told its database, its options and its signals.

const [, , url = '', options = '{}'] = process.argv;

@Module({
  imports: [
    TypeOrmModule.forRoot({ type: 'postgres', url, autoLoadEntities: true }),
    TaskBridgeModule.forRoot({ runMigrations: true, authContextResolver: BearerNames, ...JSON.parse(options) }),
  ],
  providers: SCRIPTED_HANDLERS,
})
class HostModule {}

const app = await NestFactory.create<NestFastifyApplication>(HostModule, new FastifyAdapter(), { logger: ['error'] });
app.enableShutdownHooks();
await app.listen(0, '127.0.0.1');
process.send?.({ url: await app.getUrl() });
