import { TerminalReserveUnavailableError } from './errors.js';
import type { Spool } from './spool.js';
import type { SpoolCounters } from './spool-counters.js';
import type { StoreDatabase } from './store-database.js';
import type { StoreSettings } from './settings.js';
import type { TaskExecutions } from './task-executions.js';
import type { RotatedChunks } from './telemetry.js';

/** A payload's last page and the leaf of its row; less where a payload is smaller than these. */
const PAGES_BYTES = 8192;
/** A task's row when it gets its end, and what indexes hold of both: pages are half empty once they were split. */
const ROWS_BYTES = 2560;
/** Inner pages of tables and indexes, and what acknowledgements write. */
const MARGIN_BYTES = 64 * 1024;
const MARGIN_SHARE = 32;

/** What the finals of so many tasks may take in the file, in whole pages and with everything that comes with them. */
export function finalsFileBytes(payloadBytes: number, tasks: number): number {
  if (tasks === 0) return 0;
  return payloadBytes + Math.min(payloadBytes + tasks * 200, tasks * PAGES_BYTES) + tasks * ROWS_BYTES;
}

/** Keeps the pages that the finals of open tasks need in a file that has a limit. */
export class FileRoom {
  constructor(
    private readonly database: StoreDatabase,
    private readonly settings: StoreSettings,
    private readonly counters: SpoolCounters,
    private readonly executions: TaskExecutions,
    private readonly spool: Spool,
  ) {}

  /**
   * Called inside the transaction of a receipt. Ended tasks are forgotten early for it, and then output is rotated out.
   *
   * @throws TerminalReserveUnavailableError when the finals of all open tasks and of one more might not fit the file.
   */
  makeForOneMore(maxFileBytes: number): RotatedChunks[] {
    const { terminalReserveBytes } = this.settings;
    const { reservedBytes, openTasks } = this.counters.current;
    const wanted = finalsFileBytes(reservedBytes + terminalReserveBytes, openTasks + 1);
    const rotated: RotatedChunks[] = [];
    for (;;) {
      const missing = wanted - this.roomBytes(maxFileBytes);
      if (missing <= 0) return rotated;
      if (this.executions.forgetSettledBefore(Number.MAX_SAFE_INTEGER) > 0) continue;
      const more = this.spool.rotateBytes(missing);
      if (more.length === 0) throw this.noRoom(maxFileBytes);
      rotated.push(...more);
    }
  }

  private roomBytes(maxFileBytes: number): number {
    const { pages, freePages, pageBytes } = this.database.pages();
    const marginBytes = MARGIN_BYTES + Math.floor(maxFileBytes / MARGIN_SHARE);
    return maxFileBytes - marginBytes - (pages - freePages) * pageBytes;
  }

  private noRoom(maxFileBytes: number): TerminalReserveUnavailableError {
    const { openTasks, pendingFinals } = this.counters.current;
    return new TerminalReserveUnavailableError(
      `The file of at most ${maxFileBytes} bytes holds ${pendingFinals} finals and the reserves of ${openTasks} open ` +
        `tasks; one more final of ${this.settings.terminalReserveBytes} bytes might not fit`,
    );
  }
}
