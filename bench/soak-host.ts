import { setTimeout as sleep } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import { ModulesContainer, NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskBridgeModule } from '../lib/taskbridge.module.js';
import { answerCalls } from '../test/faults/support/child-calls.js';
import { BearerNames } from '../test/support/app.js';
import { SCRIPTED_HANDLERS } from '../test/support/scripted-handlers.js';
import { collectionSizes } from './soak-collections.js';
import type { SoakSample } from './soak.js';

// The instance that a soak loads: it measures itself, with the collector exposed by `--expose-gc`.

const SETTLE_MS = 300;
let app: NestFastifyApplication | undefined;

async function boot(databaseUrl: string): Promise<string> {
  class HostModule {}
  Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres', url: databaseUrl, autoLoadEntities: true }),
      TaskBridgeModule.forRoot({ runMigrations: true, authContextResolver: BearerNames }),
    ],
    providers: SCRIPTED_HANDLERS,
  })(HostModule);
  app = await NestFactory.create<NestFastifyApplication>(HostModule, new FastifyAdapter(), { logger: ['error'] });
  await app.listen(0, '127.0.0.1');
  return (await app.getUrl()).replace('[::1]', '127.0.0.1');
}

/** The least of a few readings: what is left when the collector has had its turn. */
async function measure(): Promise<SoakSample> {
  const rss: number[] = [];
  for (let reading = 0; reading < 3; reading += 1) {
    global.gc?.();
    await sleep(SETTLE_MS);
    rss.push(process.memoryUsage.rss());
  }
  global.gc?.();
  return {
    rssBytes: Math.min(...rss),
    heapBytes: process.memoryUsage().heapUsed,
    collections: collectionSizes(services()),
  };
}

function services(): object[] {
  const modules = app?.get(ModulesContainer, { strict: false }).values() ?? [];
  const wrappers = [...modules]
    .filter(({ name }) => name === TaskBridgeModule.name)
    .flatMap((one) => [...one.providers.values()]);
  return wrappers.flatMap(({ instance }) => (typeof instance === 'object' && instance !== null ? [instance] : []));
}

answerCalls({ boot, measure });
process.send?.({ call: 0, value: null });
