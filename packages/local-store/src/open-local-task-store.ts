import { LocalTaskStore } from './local-task-store.js';
import { realPath } from './open-files.js';
import { localTaskStoreOptions, resolveSettings, type Environment, type LocalTaskStoreOptions } from './settings.js';
import { tellingFailures } from './store-failures.js';
import { StoreDatabase } from './store-database.js';
import { openStoreFile } from './store-file.js';

/**
 * Opens the store, or creates it, and makes it this process's own until it is closed or the process ends. Running tasks
 * of the last process are still `running`: call `markInterruptedRunningTasks()` before anything is started. Blocks while
 * it checks the file, up to `busyTimeoutMs` while another process has it open.
 *
 * @throws InvalidSettingError, SqliteMissingError, StoreLockedError, StoreUnavailableError, StoreCorruptError,
 * StoreNewerError, StoreForeignError, StoreDiskFullError
 */
export function openLocalTaskStore(options: LocalTaskStoreOptions): LocalTaskStore {
  const resolved = resolveSettings(options);
  const settings = { ...resolved, path: realPath(resolved.path) };
  const file = openStoreFile(settings);
  const database = new StoreDatabase(file, settings.path);
  try {
    return tellingFailures(
      settings.path,
      () => new LocalTaskStore(database, settings, options.telemetry ?? {}, file.setAsidePath),
    );
  } catch (error) {
    database.close();
    throw error;
  }
}

/** {@link openLocalTaskStore} with the settings of the environment; an option given here goes before it. */
export function openDefault(
  options: Partial<LocalTaskStoreOptions> = {},
  env: Environment = process.env,
): LocalTaskStore {
  return openLocalTaskStore({ ...options, ...localTaskStoreOptions(env, options) });
}
