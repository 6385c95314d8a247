import { setTimeout as sleep } from 'node:timers/promises';
import type { BackgroundWork } from './background-work.js';

/** How long a batch waits for its slowest hand-off, in ms. */
const PATIENCE_MS = 250;
/** Batches' worth of hand-offs that may be under way at once. */
const MOST_BATCHES = 8;

/**
 * The hand-offs of one kind that this process is making. One that hangs in an executor's code holds up neither its batch
 * nor the next ones: it goes on beside them, within a limit of as many.
 */
export class HandoffBatches {
  private underWay = 0;

  constructor(
    private readonly batchSize: number,
    private readonly background: BackgroundWork,
  ) {}

  /** How many the next batch may have. */
  get room(): number {
    return Math.min(this.batchSize, this.batchSize * MOST_BATCHES - this.underWay);
  }

  /** Dispatches all, and resolves when all are done or the slow ones are left to themselves; with how many there were. */
  async run<T>(items: readonly T[], dispatch: (item: T) => Promise<unknown>): Promise<number> {
    if (items.length === 0) return 0;
    const all = Promise.all(items.map((item) => this.follow(dispatch(item))));
    const late = new AbortController();
    await Promise.race([all, sleep(PATIENCE_MS, undefined, { signal: late.signal }).catch(() => undefined)]);
    late.abort();
    return items.length;
  }

  private follow(handoff: Promise<unknown>): Promise<void> {
    this.underWay += 1;
    const done = handoff.then(
      () => undefined,
      () => undefined,
    );
    const followed = done.then(() => void (this.underWay -= 1));
    this.background.track(followed);
    return followed;
  }
}
