import { type DynamicModule, Module, type NestModule } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { configureTaskBridgeRoutes } from './controllers/fastify-routes.js';
import { HttpConnections } from './controllers/http-connections.js';
import { defineTaskBridge, factorySettings, fixedSettings, MountedSurfaces } from './taskbridge.module-definition.js';
import type { TaskBridgeAsyncOptions, TaskBridgeOptions } from './taskbridge.options.js';

/**
 * Long-running tasks for a Nest app on Fastify and PostgreSQL. Import it once per DataSource, provide an
 * `AuthContextResolver`, and run tasks with `@TaskHandler` classes or a `TaskExecutor` of your own.
 */
@Module({})
export class TaskBridgeModule implements NestModule {
  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly mounted: MountedSurfaces,
    private readonly connections: HttpConnections,
  ) {}

  /** Routes, DataSource, supplied classes and settings, all known now. */
  static forRoot(options: TaskBridgeOptions = {}): DynamicModule {
    return { module: TaskBridgeModule, ...defineTaskBridge(options, fixedSettings(options)) };
  }

  /**
   * The same with tuning settings that come from the container. What routes and providers are built from (paths,
   * DataSource, what is mounted, supplied classes) stays beside the factory, because it is needed before it runs.
   */
  static forRootAsync(options: TaskBridgeAsyncOptions): DynamicModule {
    return { module: TaskBridgeModule, ...defineTaskBridge(options, factorySettings(options)) };
  }

  /** Called before the routes are registered, and only where there is an HTTP server. */
  configure(): void {
    if (!this.mounted.http) return;
    this.connections.attach(this.adapterHost);
    configureTaskBridgeRoutes(this.adapterHost, this.connections);
  }
}
