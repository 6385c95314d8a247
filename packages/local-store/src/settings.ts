import path from 'node:path';
import { printed } from './arguments.js';
import { InvalidSettingError } from './errors.js';
import { checkObject, checkTelemetry, filePath, oneOf, wholeNumber } from './setting-checks.js';
import type { LocalStoreTelemetry } from './telemetry.js';

export interface LocalTaskStoreOptions {
  /** The file. Missing folders are created with mode 0700, the file with mode 0600. */
  path: string;
  /**
   * Payload bytes that unacknowledged messages may take. Over it, the oldest chunks are rotated out, up to a 64th of it
   * at once. The file itself grows to about one and a half of it and is not shrunk.
   * @default 67108864 (64 MiB)
   */
  spoolCapBytes?: number;
  /**
   * Payload bytes set aside for the final of each task that is received: its largest final, and with the cap the largest
   * number of open tasks (64 by default). A task keeps its reserve when the setting is changed.
   * @default 1048576 (1 MiB)
   */
  terminalReserveBytes?: number;
  /**
   * Unacknowledged chunks, over which the oldest are rotated out: keeps tiny chunks from filling the disk, as the cap
   * counts payloads only. At least 1.
   * @default one for every 512 bytes of the cap, at least 1024
   */
  maxPendingChunks?: number;
  /**
   * Open tasks and unacknowledged finals, over which receipts are refused: keeps finals without a payload from filling
   * the disk. At least 1.
   * @default one for every 512 bytes of the cap, at least 1024
   */
  maxPendingTasks?: number;
  /**
   * The file never becomes larger; StoreDiskFullError instead. Receipts are refused when finals would not fit it. Not
   * below the cap.
   * @default no limit besides the cap
   */
  maxFileBytes?: number;
  /**
   * What a stored chunk survives when `appendOutputChunk` returns: the end of the process, or also a loss of power, at
   * the price of an fsync for each chunk. Receipts, starts and finals always survive both, and take all chunks before
   * them along.
   * @default 'process-crash'
   */
  chunkDurability?: 'process-crash' | 'power-loss';
  /** How long an open waits, blocking, for another process to let go of the file. @default 1000 */
  busyTimeoutMs?: number;
  /**
   * How long an ended task is remembered after its last acknowledgement, so that a late duplicate of it is known.
   * @default 604800000 (7 days)
   */
  finishedTaskRetentionMs?: number;
  /**
   * What to do about a damaged file: throw StoreCorruptError and leave it, or rename it to `<path>.corrupt-<time>` and
   * start an empty one. Its tasks are then unknown here.
   * @default 'fail'
   */
  onCorrupt?: 'fail' | 'set-aside';
  /** @default nobody is told */
  telemetry?: LocalStoreTelemetry;
}

/** Every option resolved. */
export interface StoreSettings extends Required<Omit<LocalTaskStoreOptions, 'maxFileBytes' | 'telemetry'>> {
  maxFileBytes: number | null;
}

/** What finals may take: the cap, or what the file's own limit leaves besides tables and the rest of pages. */
export function finalsRoomBytes({ spoolCapBytes, maxFileBytes }: StoreSettings): number {
  if (maxFileBytes === null) return spoolCapBytes;
  return Math.min(spoolCapBytes, Math.floor((maxFileBytes - FILE_OVERHEAD_BYTES) * FILE_SHARE_OF_PAYLOADS));
}

/** As `process.env`. */
export type Environment = Record<string, string | undefined>;

const DEFAULT_SPOOL_CAP_BYTES = 64 * 1024 * 1024;
const DEFAULT_TERMINAL_RESERVE_BYTES = 1024 * 1024;
const CAP_BYTES_PER_ROW = 512;
const MIN_DEFAULT_ROWS = 1024;
const FILE_OVERHEAD_BYTES = 128 * 1024;
const FILE_SHARE_OF_PAYLOADS = 0.9;
const DAY_MS = 86_400_000;
/** SQLite counts them in 32 bits. */
const MAX_BUSY_TIMEOUT_MS = 2 ** 31 - 1;
const FILE_NAME = 'task_store.db';

/** Checks every option. @throws InvalidSettingError */
export function resolveSettings(options: LocalTaskStoreOptions): StoreSettings {
  checkObject('options', options);
  const { spoolCapBytes = DEFAULT_SPOOL_CAP_BYTES, terminalReserveBytes = DEFAULT_TERMINAL_RESERVE_BYTES } = options;
  const { busyTimeoutMs = 1000, finishedTaskRetentionMs = 7 * DAY_MS, maxFileBytes } = options;
  const rows = Math.max(
    MIN_DEFAULT_ROWS,
    Math.floor(wholeNumber('spoolCapBytes', spoolCapBytes, 1) / CAP_BYTES_PER_ROW),
  );
  const { maxPendingChunks = rows, maxPendingTasks = rows } = options;
  const settings: StoreSettings = {
    path: filePath(options.path),
    spoolCapBytes,
    terminalReserveBytes: wholeNumber('terminalReserveBytes', terminalReserveBytes, 1),
    maxPendingChunks: wholeNumber('maxPendingChunks', maxPendingChunks, 1),
    maxPendingTasks: wholeNumber('maxPendingTasks', maxPendingTasks, 1),
    maxFileBytes: maxFileBytes === undefined ? null : wholeNumber('maxFileBytes', maxFileBytes, 1),
    chunkDurability: oneOf('chunkDurability', options.chunkDurability, ['process-crash', 'power-loss']),
    busyTimeoutMs: wholeNumber('busyTimeoutMs', busyTimeoutMs, 0, MAX_BUSY_TIMEOUT_MS),
    finishedTaskRetentionMs: wholeNumber('finishedTaskRetentionMs', finishedTaskRetentionMs, 0),
    onCorrupt: oneOf('onCorrupt', options.onCorrupt, ['fail', 'set-aside']),
  };
  checkTelemetry(options.telemetry);
  refuseReserveAboveCap(terminalReserveBytes, spoolCapBytes);
  if (settings.maxFileBytes !== null && spoolCapBytes > settings.maxFileBytes) {
    throw new InvalidSettingError(
      `spoolCapBytes (${spoolCapBytes}) is above maxFileBytes (${settings.maxFileBytes}): lower the cap, or raise the limit`,
    );
  }
  if (terminalReserveBytes > finalsRoomBytes(settings)) {
    throw new InvalidSettingError(`maxFileBytes has no room for a terminal reserve of ${terminalReserveBytes} bytes`);
  }
  return settings;
}

/**
 * The environment's settings as options for `openLocalTaskStore`. A variable that an option replaces is not read.
 *
 * @throws InvalidSettingError
 */
export function localTaskStoreOptions(
  env: Environment = process.env,
  options: Partial<LocalTaskStoreOptions> = {},
): LocalTaskStoreOptions {
  checkObject('options', options);
  checkObject('env', env);
  const { spoolCapBytes = localTaskStoreSpoolCapBytes(env) } = options;
  const { terminalReserveBytes = localTaskStoreTerminalReserveBytes(env) } = options;
  refuseReserveAboveCap(
    wholeNumber('terminalReserveBytes', terminalReserveBytes, 1),
    wholeNumber('spoolCapBytes', spoolCapBytes, 1),
  );
  return {
    path: options.path === undefined ? localTaskStorePath(env) : options.path,
    spoolCapBytes,
    terminalReserveBytes,
  };
}

/**
 * `TASKBRIDGE_LOCAL_STORE_PATH`, else `task_store.db` in the folder `TASKBRIDGE_STATE_PATH`. An empty variable counts as
 * not set.
 *
 * @throws InvalidSettingError when neither is set.
 */
export function localTaskStorePath(env: Environment = process.env): string {
  const file = read(env, 'LOCAL_STORE_PATH');
  if (file !== undefined) return file.value;
  const folder = read(env, 'STATE_PATH');
  if (folder !== undefined) return path.join(folder.value, FILE_NAME);
  throw new InvalidSettingError('Set TASKBRIDGE_STATE_PATH, or TASKBRIDGE_LOCAL_STORE_PATH, to keep tasks somewhere');
}

/** `TASKBRIDGE_LOCAL_STORE_SPOOL_CAP_BYTES`; 64 MiB when not set. @throws InvalidSettingError */
export function localTaskStoreSpoolCapBytes(env: Environment = process.env): number {
  return readBytes(env, 'LOCAL_STORE_SPOOL_CAP_BYTES', DEFAULT_SPOOL_CAP_BYTES);
}

/** `TASKBRIDGE_LOCAL_STORE_TERMINAL_RESERVE_BYTES`; 1 MiB when not set. @throws InvalidSettingError */
export function localTaskStoreTerminalReserveBytes(env: Environment = process.env): number {
  return readBytes(env, 'LOCAL_STORE_TERMINAL_RESERVE_BYTES', DEFAULT_TERMINAL_RESERVE_BYTES);
}

/** The `HOSTLINK_*` name of the same setting is read where ours is not set. */
function read(env: Environment, setting: string): { name: string; value: string } | undefined {
  checkObject('env', env);
  for (const name of [`TASKBRIDGE_${setting}`, `HOSTLINK_${setting}`]) {
    const value: unknown = env[name] ?? '';
    if (typeof value !== 'string') throw new InvalidSettingError(`${name} must be text; it is ${printed(value)}`);
    if (value.trim() !== '') return { name, value: value.trim() };
  }
  return undefined;
}

function readBytes(env: Environment, setting: string, fallback: number): number {
  const found = read(env, setting);
  if (found === undefined) return fallback;
  return wholeNumber(found.name, /^\d+$/.test(found.value) ? Number(found.value) : found.value, 1);
}

function refuseReserveAboveCap(reserve: number, cap: number): void {
  if (reserve <= cap) return;
  throw new InvalidSettingError(
    `terminalReserveBytes (${reserve}) is above spoolCapBytes (${cap}): lower the reserve, or raise the cap`,
  );
}
