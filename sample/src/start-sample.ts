import type { AddressInfo } from 'node:net';
import type { LogLevel } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { AppModule } from './app.module.js';
import { localUrl } from './settings.js';

export interface StartOptions {
  host: string;
  /** 0 takes a free one. */
  port: number;
  databaseUrl: string;
  logLevels?: LogLevel[];
}

export interface RunningSample {
  app: NestFastifyApplication;
  url: string;
}

/** Boots the application and listens; closes it again when the port is taken. */
export async function startSample({ host, port, databaseUrl, logLevels }: StartOptions): Promise<RunningSample> {
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forDatabase(databaseUrl),
    new FastifyAdapter(),
    { abortOnError: false, ...(logLevels && { logger: logLevels }) },
  );
  try {
    await app.listen(port, host);
  } catch (error) {
    await app.close();
    throw error;
  }
  const { port: taken } = app.getHttpServer().address() as AddressInfo;
  return { app, url: localUrl(host, taken) };
}
