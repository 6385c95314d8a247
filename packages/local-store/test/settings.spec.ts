import path from 'node:path';
import {
  localTaskStoreOptions,
  localTaskStorePath,
  localTaskStoreSpoolCapBytes,
  localTaskStoreTerminalReserveBytes,
  openDefault,
  openLocalTaskStore,
  type LocalTaskStoreOptions,
} from '@taskbridge/local-store';
import { StoreFolder, cycle, thrownBy } from './support/stores.js';

describe('the settings of a local task store', () => {
  it('has a path: the file, or task_store.db in the state folder', () => {
    expect(localTaskStorePath({ TASKBRIDGE_STATE_PATH: '/var/lib/worker' })).toBe('/var/lib/worker/task_store.db');
    const both = { TASKBRIDGE_STATE_PATH: '/var/lib/worker', TASKBRIDGE_LOCAL_STORE_PATH: '/data/tasks.db' };
    expect(localTaskStorePath(both)).toBe('/data/tasks.db');
    expect(localTaskStorePath({ ...both, TASKBRIDGE_LOCAL_STORE_PATH: ' ' })).toBe('/var/lib/worker/task_store.db');
    expect(thrownBy(() => localTaskStorePath({})).code).toBe('INVALID_SETTING');
  });

  it('has a cap of 64 MiB and a reserve of 1 MiB where nothing else is set', () => {
    expect(localTaskStoreSpoolCapBytes({})).toBe(67_108_864);
    expect(localTaskStoreTerminalReserveBytes({})).toBe(1_048_576);
    const env = {
      TASKBRIDGE_LOCAL_STORE_SPOOL_CAP_BYTES: '2000',
      TASKBRIDGE_LOCAL_STORE_TERMINAL_RESERVE_BYTES: '1000',
    };
    expect(localTaskStoreSpoolCapBytes(env)).toBe(2000);
    expect(localTaskStoreTerminalReserveBytes(env)).toBe(1000);
  });

  it('takes the HOSTLINK names where its own are not set', () => {
    const aliases = {
      HOSTLINK_STATE_PATH: '/old',
      HOSTLINK_LOCAL_STORE_SPOOL_CAP_BYTES: '500',
      HOSTLINK_LOCAL_STORE_TERMINAL_RESERVE_BYTES: '50',
    };
    const expected = { path: path.join('/old', 'task_store.db'), spoolCapBytes: 500, terminalReserveBytes: 50 };
    expect(localTaskStoreOptions(aliases)).toEqual(expected);
    const own = { HOSTLINK_LOCAL_STORE_PATH: '/old/tasks.db', TASKBRIDGE_LOCAL_STORE_SPOOL_CAP_BYTES: '700' };
    expect(localTaskStoreOptions({ ...aliases, ...own })).toEqual({
      ...expected,
      path: '/old/tasks.db',
      spoolCapBytes: 700,
    });
  });

  it('refuses values that are no number of bytes, and names the variable', () => {
    for (const value of ['0', '-1', '1.5', '64MiB', '1e6', '0x10', 'NaN', '9007199254740993']) {
      const env = { HOSTLINK_LOCAL_STORE_SPOOL_CAP_BYTES: value };
      expect(thrownBy(() => localTaskStoreSpoolCapBytes(env))).toMatchObject({
        code: 'INVALID_SETTING',
        message: expect.stringContaining('HOSTLINK_LOCAL_STORE_SPOOL_CAP_BYTES'),
      });
    }
  });

  it('refuses a reserve above the cap', () => {
    const env = { TASKBRIDGE_STATE_PATH: '/x', TASKBRIDGE_LOCAL_STORE_SPOOL_CAP_BYTES: '1048575' };
    expect(thrownBy(() => localTaskStoreOptions(env))).toMatchObject({
      code: 'INVALID_SETTING',
      message: 'terminalReserveBytes (1048576) is above spoolCapBytes (1048575): lower the reserve, or raise the cap',
    });
    expect(localTaskStoreOptions({ ...env, TASKBRIDGE_LOCAL_STORE_TERMINAL_RESERVE_BYTES: '1048575' })).toMatchObject({
      terminalReserveBytes: 1_048_575,
    });
  });

  it('refuses a cap above the limit of the file, and names both', () => {
    const folder = new StoreFolder();
    expect(thrownBy(() => folder.open({ spoolCapBytes: 3_000_001, maxFileBytes: 3_000_000 }))).toMatchObject({
      code: 'INVALID_SETTING',
      message: 'spoolCapBytes (3000001) is above maxFileBytes (3000000): lower the cap, or raise the limit',
    });
    // Also the default.
    expect(thrownBy(() => folder.open({ maxFileBytes: 3_000_000 })).message).toContain('spoolCapBytes (67108864)');
    folder.open({ spoolCapBytes: 3_000_000, maxFileBytes: 3_000_000 }).close();
    folder.remove();
  });

  it('checks every option before it touches the disk', () => {
    const folder = new StoreFolder();
    const wrong: Partial<LocalTaskStoreOptions>[] = [
      { spoolCapBytes: 0 },
      { spoolCapBytes: 10 },
      { terminalReserveBytes: 1.5 },
      { maxPendingChunks: 0 },
      { maxPendingTasks: 0 },
      { maxFileBytes: -1 },
      { busyTimeoutMs: Number.NaN },
      { finishedTaskRetentionMs: -1 },
      { chunkDurability: 'never' as 'power-loss' },
      { onCorrupt: 'delete' as 'fail' },
      { path: '' },
    ];
    for (const options of wrong) expect(thrownBy(() => folder.open(options)).code).toBe('INVALID_SETTING');
    folder.remove();
  });

  it.each([null, -1, 0.5, Number.NaN, 2 ** 53, 10n, 'text', '', true, () => 1, Symbol('s'), [], cycle(), 'a\0b'])(
    'names the option that may not be %p',
    (value) => {
      const folder = new StoreFolder();
      const numbers = ['spoolCapBytes', 'terminalReserveBytes', 'maxPendingChunks', 'maxPendingTasks', 'maxFileBytes'];
      const others = ['busyTimeoutMs', 'finishedTaskRetentionMs', 'chunkDurability', 'onCorrupt'];
      if (value !== 'text') numbers.push('path');
      if (!isObject(value)) others.push('telemetry');
      for (const name of [...numbers, ...others]) {
        expect(thrownBy(() => folder.open({ [name]: value }))).toMatchObject({
          code: 'INVALID_SETTING',
          message: expect.stringContaining(name),
        });
      }
      for (const name of ['spoolChanged', 'chunksRotated']) {
        if (typeof value === 'function') continue;
        expect(thrownBy(() => folder.open({ telemetry: { [name]: value } }))).toMatchObject({
          code: 'INVALID_SETTING',
          message: expect.stringContaining(`telemetry.${name}`),
        });
      }
      if (!isObject(value)) {
        for (const open of [openLocalTaskStore, openDefault]) {
          expect(thrownBy(() => open(value as never))).toMatchObject({
            code: 'INVALID_SETTING',
            message: expect.stringMatching(/^options must be /),
          });
        }
        expect(thrownBy(() => openDefault({}, value as never))).toMatchObject({
          code: 'INVALID_SETTING',
          message: expect.stringMatching(/^env must be /),
        });
      }
      folder.remove();
    },
  );

  it('names a variable that is no text, and a wait that SQLite does not count to', () => {
    expect(thrownBy(() => localTaskStorePath({ TASKBRIDGE_STATE_PATH: 7 as never }))).toMatchObject({
      code: 'INVALID_SETTING',
      message: expect.stringContaining('TASKBRIDGE_STATE_PATH'),
    });
    const folder = new StoreFolder();
    expect(thrownBy(() => folder.open({ busyTimeoutMs: 2 ** 31 }))).toMatchObject({
      code: 'INVALID_SETTING',
      message: 'busyTimeoutMs must be a whole number, 0 to 2147483647; it is 2147483648',
    });
    folder.remove();
  });

  it('opens the store of the environment, and an option goes before it', () => {
    const folder = new StoreFolder();
    const env = { TASKBRIDGE_STATE_PATH: path.join(folder.folder, 'state') };
    const store = openDefault({ spoolCapBytes: 2_000_000 }, env);
    expect(store.snapshot().spool).toMatchObject({ capBytes: 2_000_000, terminalReserveBytes: 1_048_576 });
    store.close();
    folder.remove();
  });

  it('reads no variable that an option replaces', () => {
    const folder = new StoreFolder();
    const wrong = {
      TASKBRIDGE_LOCAL_STORE_SPOOL_CAP_BYTES: 'a lot',
      TASKBRIDGE_LOCAL_STORE_TERMINAL_RESERVE_BYTES: '99999999999',
    };
    const options = { path: folder.file, spoolCapBytes: 2_000_000, terminalReserveBytes: 1000 };
    openDefault(options, wrong).close();
    openDefault({ path: folder.file }, {}).close();
    expect(thrownBy(() => openDefault({ path: folder.file }, wrong)).code).toBe('INVALID_SETTING');
    folder.remove();
  });
});

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value);
