import { setTimeout as sleep } from 'node:timers/promises';
import type { TableNames } from '../stores/table-names.js';
import type { Finding } from './finding-codes.js';
import type { VerificationConnection } from './verification-connection.js';

const LOOK_EVERY_MS = 250;
/** Further ones are not followed; so many at once are found by the next verification. */
const MAX_FOLLOWED = 10_000;

/**
 * Leases whose process is not there at all. A process that has just shut down leaves some for a moment, and nothing
 * says when it went: so they are looked at again until the grace is over.
 */
export class LostLeases {
  /** Attempt by task: a task that was taken over has another one. */
  private readonly suspects = new Map<string, number>();
  private lastSeenAt = 0;

  constructor(
    private readonly connection: VerificationConnection,
    private readonly graceMs: number,
  ) {}

  /** Remembers those among the tasks of one batch. */
  async look(taskIds: readonly string[]): Promise<void> {
    for (const [taskId, attempt] of await this.read(taskIds)) {
      if (this.suspects.size >= MAX_FOLLOWED) return;
      this.suspects.set(taskId, attempt);
      this.lastSeenAt = performance.now();
    }
  }

  /** Resolves when each has been taken over or has been lost for the whole grace. */
  async findings(signal?: AbortSignal): Promise<Finding[]> {
    for (;;) {
      await this.dropTakenOver();
      const leftMs = this.lastSeenAt + this.graceMs - performance.now();
      if (this.suspects.size === 0 || leftMs <= 0) break;
      await sleep(Math.min(leftMs, LOOK_EVERY_MS), undefined, { signal });
    }
    return [...this.suspects].map(([taskId, attempt]) => ({
      code: 'LEASE_EXPIRED',
      taskId,
      detail: `attempt ${attempt} is leased by a process that is not registered`,
    }));
  }

  private async dropTakenOver(): Promise<void> {
    if (this.suspects.size === 0) return;
    const lost = new Map(await this.read([...this.suspects.keys()]));
    for (const [taskId, attempt] of this.suspects) {
      if (lost.get(taskId) !== attempt) this.suspects.delete(taskId);
    }
  }

  private async read(taskIds: readonly string[]): Promise<[string, number][]> {
    const rows = await this.connection.rows(lostLeaseStatement(this.connection.tables), [taskIds]);
    return rows.map(([taskId, attempt]) => [String(taskId), Number(attempt)]);
  }
}

/** Those of the tasks $1 whose lease names no process. */
function lostLeaseStatement(t: TableNames): string {
  return `
select t.task_id, t.attempt from ${t.tasks} t
where t.task_id = any ($1::uuid[]) and t.lease_owner is not null and t.status < 2
  and not exists (select from ${t.processes} p where p.process_id = t.lease_owner)`;
}
