import type { SpoolStatus, TaskAttempt } from './records.js';

/** Chunks of one stream that were rotated out together. */
export interface RotatedChunks extends TaskAttempt {
  stream: string;
  chunks: number;
  bytes: number;
}

/**
 * Called in the same process, after the change is in the file. The numbers are kept with every change: nothing is read
 * for them, whatever the backlog. What a callback throws, or rejects with, becomes a process warning and stops nothing.
 */
export interface LocalStoreTelemetry {
  /** After every change of what is pending, open or rotated, and once at the opening. */
  spoolChanged?(spool: SpoolStatus): void;
  /** Once for each stream that lost chunks, oldest first. */
  chunksRotated?(rotated: RotatedChunks): void;
}

/** Calls the hooks and survives them. */
export class TelemetryHooks {
  private told: SpoolStatus | undefined;

  constructor(
    private readonly hooks: LocalStoreTelemetry,
    private readonly status: () => SpoolStatus,
  ) {}

  tell(rotations: readonly RotatedChunks[]): void {
    const { hooks } = this;
    if (hooks.spoolChanged !== undefined) this.tellStatus(hooks);
    for (const rotated of rotations) survive(() => hooks.chunksRotated?.(rotated));
  }

  private tellStatus(hooks: LocalStoreTelemetry): void {
    const status = this.status();
    if (this.told !== undefined && isSame(this.told, status)) return;
    this.told = { ...status };
    survive(() => hooks.spoolChanged?.(status));
  }
}

function isSame(before: SpoolStatus, now: SpoolStatus): boolean {
  return (Object.keys(now) as (keyof SpoolStatus)[]).every((name) => before[name] === now[name]);
}

function survive(callback: () => unknown): void {
  try {
    // A callback may be an async function, although its result is not waited for.
    Promise.resolve(callback()).catch(warn);
  } catch (error) {
    warn(error);
  }
}

function warn(error: unknown): void {
  process.emitWarning(`A telemetry callback of the local task store threw: ${printed(error)}`);
}

/** Not everything that can be thrown can be made text. */
function printed(error: unknown): string {
  try {
    return String(error);
  } catch {
    return 'something that cannot be printed';
  }
}
