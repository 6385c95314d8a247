import type { DataSource } from 'typeorm';
import type { TaskBridgeSettings } from './taskbridge.options.js';

/** The complete `TaskBridgeSettings` of this module instance. */
export const TASKBRIDGE_SETTINGS = Symbol.for('@taskbridge/nestjs:settings');
export type TASKBRIDGE_SETTINGS = TaskBridgeSettings;

/** The host's TypeORM DataSource that the module was told to use, whatever its name. */
export const TASKBRIDGE_DATA_SOURCE = Symbol.for('@taskbridge/nestjs:data-source');
export type TASKBRIDGE_DATA_SOURCE = DataSource;

/** UUID of this process in leases and notifications; new at every boot. */
export const TASKBRIDGE_PROCESS_ID = Symbol.for('@taskbridge/nestjs:process-id');
