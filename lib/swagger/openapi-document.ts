import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { TypeOrmModule } from '@nestjs/typeorm';
import { TaskBridgeModule } from '../taskbridge.module.js';
import { decorateForSwagger } from './decorate-for-swagger.js';
import { describeWebSocket } from './describe-web-socket.js';

/**
 * The OpenAPI document of the library's routes alone, at their default paths; for generating clients and for comparing
 * versions. It needs no database and starts no server.
 */
export async function createOpenApiDocument(): Promise<OpenAPIObject> {
  @Module({
    imports: [
      TypeOrmModule.forRoot({ type: 'postgres' }),
      TaskBridgeModule.forRoot({ controllerDecorators: [decorateForSwagger] }),
    ],
  })
  class DocumentedModule {}

  // A preview resolves the modules and their routes without making a single provider.
  const app = await NestFactory.create(DocumentedModule, new FastifyAdapter(), {
    preview: true,
    abortOnError: false,
    logger: false,
  });
  const about = new DocumentBuilder()
    .setTitle('TaskBridge API')
    .setDescription('Long-running tasks: created once, followed over SSE, WebSocket or polling, answered by people.')
    .setVersion('1.0.0')
    .setOpenAPIVersion('3.0.3')
    .addTag('tasks')
    .addTag('streaming')
    .addTag('health')
    .build();
  return describeWebSocket(SwaggerModule.createDocument(app, about, { autoTagControllers: false }));
}
