import type { DynamicModule, Provider, Type } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { getDataSourceToken, TypeOrmModule } from '@nestjs/typeorm';
import type { DataSource } from 'typeorm';
import { v4 as uuidv4 } from 'uuid';
import { createHealthController } from './controllers/health.controller.js';
import { createTaskDiagnosisController } from './controllers/task-diagnosis.controller.js';
import { createTaskStreamController } from './controllers/task-stream.controller.js';
import { createTasksController } from './controllers/tasks.controller.js';
import { TASKBRIDGE_ENTITIES } from './entities/index.js';
import { createTaskEventsGateway } from './gateways/task-events.gateway.js';
import { runTaskBridgeMigrations } from './migrations/index.js';
import type {
  TaskBridgeAsyncOptions,
  TaskBridgeOptions,
  TaskBridgeOptionsFactory,
  TaskBridgeRuntimeOptions,
  TaskBridgeStaticOptions,
} from './taskbridge.options.js';
import { tableNames } from './stores/table-names.js';
import { exportedTokens, hostProviders, serviceProviders, storeProviders } from './taskbridge.providers.js';
import { resolveHttpRoutes, resolveSettings, resolveWebSocketRoutes } from './taskbridge.settings.js';
import { TASKBRIDGE_DATA_SOURCE, TASKBRIDGE_PROCESS_ID, TASKBRIDGE_SETTINGS } from './taskbridge.tokens.js';

/** Which of the library's surfaces this module instance mounts. */
export class MountedSurfaces {
  constructor(readonly http: boolean) {}
}

/** Everything one module instance consists of; `settings` are the providers that end in `TASKBRIDGE_SETTINGS`. */
export function defineTaskBridge(
  options: TaskBridgeStaticOptions,
  settings: Provider[],
): Omit<DynamicModule, 'module'> {
  return {
    global: options.isGlobal ?? false,
    imports: [
      DiscoveryModule,
      TypeOrmModule.forFeature([...TASKBRIDGE_ENTITIES], options.dataSource),
      ...(options.imports ?? []),
    ],
    controllers: controllersOf(options),
    providers: [
      ...settings,
      { provide: MountedSurfaces, useValue: new MountedSurfaces(options.http !== false) },
      dataSourceProvider(options),
      { provide: TASKBRIDGE_PROCESS_ID, useFactory: () => uuidv4() },
      ...storeProviders(options),
      ...hostProviders(options),
      ...serviceProviders(options),
      ...(options.webSocket === false ? [] : [createTaskEventsGateway(resolveWebSocketRoutes(options))]),
    ],
    exports: exportedTokens(options),
  };
}

/** Settings that are written down in the options. */
export function fixedSettings(options: TaskBridgeOptions): Provider[] {
  // All but these, not a list of them: a setting that such a list forgets would be ignored without a word.
  const { http: _http, webSocket: _webSocket, execution: _execution, ...tuning } = options;
  return [{ provide: TASKBRIDGE_SETTINGS, useFactory: () => resolveSettings(options, tuning) }];
}

/** Settings that a factory of the host returns. */
export function factorySettings(options: TaskBridgeAsyncOptions): Provider[] {
  const { useFactory, useClass, useExisting, inject = [] } = options;
  if (useFactory !== undefined) {
    const create = useFactory as (...args: unknown[]) => TaskBridgeRuntimeOptions | Promise<TaskBridgeRuntimeOptions>;
    const resolve = async (...args: unknown[]) => resolveSettings(options, await create(...args));
    return [{ provide: TASKBRIDGE_SETTINGS, useFactory: resolve, inject }];
  }
  const factory = useExisting ?? useClass;
  if (factory === undefined) {
    throw new Error('TaskBridgeModule.forRootAsync needs useFactory, useClass or useExisting');
  }
  const resolve = async (source: TaskBridgeOptionsFactory) =>
    resolveSettings(options, await source.createTaskBridgeOptions());
  return [
    ...(useClass === undefined ? [] : [useClass]),
    { provide: TASKBRIDGE_SETTINGS, useFactory: resolve, inject: [factory] },
  ];
}

async function assertMigrated(source: DataSource): Promise<void> {
  const { tasks, streamTickets } = tableNames(source);
  // Of the first migration and of the newest that made one.
  const [row] = await source.query<{ missing: string }[]>(
    'select name as missing from unnest($1::text[]) with ordinality as t(name, no) where to_regclass(name) is null order by no',
    [[tasks, streamTickets]],
  );
  if (!row) return;
  throw new Error(
    `TaskBridgeModule: the table ${row.missing} does not exist; set runMigrations: true, call runTaskBridgeMigrations(dataSource) ` +
      'before the app boots, or add createTaskBridgeMigrations() to the migrations of your DataSource and run them',
  );
}

/** Everybody who touches the tables depends on this provider, so nobody does before the migrations have run. */
function dataSourceProvider({ dataSource, runMigrations }: TaskBridgeStaticOptions): Provider {
  return {
    provide: TASKBRIDGE_DATA_SOURCE,
    useFactory: async (source: DataSource) => {
      if (source.options.type !== 'postgres') {
        throw new Error(`TaskBridgeModule needs a PostgreSQL DataSource, not "${source.options.type}"`);
      }
      if (runMigrations === true) await runTaskBridgeMigrations(source);
      else await assertMigrated(source);
      return source;
    },
    inject: [getDataSourceToken(dataSource)],
  };
}

function controllersOf(options: TaskBridgeStaticOptions): Type[] {
  if (options.http === false) return [];
  const routes = resolveHttpRoutes(options);
  const decorators = options.controllerDecorators ?? [];
  return [
    // The stream first: its path is longer than `:taskId/events` and must not be taken for one.
    createTaskStreamController(routes, decorators),
    createTaskDiagnosisController(routes, decorators),
    createTasksController(routes, decorators),
    ...createHealthController(routes, decorators),
  ];
}
