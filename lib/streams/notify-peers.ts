/** A process sends a probe at least every third of this, in ms. */
const FORGET_AFTER_MS = 35_000;
/** Others answer the first probe of a process at once, and all of them send one by then, in ms. */
const ALONE_AFTER_MS = 15_000;
/** More need not be told apart: there are others. */
const MAX_PEERS = 1_000;

/**
 * Which other processes are on the channel, told from their messages. Nobody is notified while there is certainly
 * nobody; a process that could not be heard yet counts as there.
 */
export class NotifyPeers {
  private readonly heardAtMs = new Map<string, number>();
  private hearingSinceMs = Infinity;
  private alone = false;

  /** Nobody else has been there for long enough to be certain. */
  get isAlone(): boolean {
    return this.alone;
  }

  /** A message of another process; true when it was not known, and may not know this one. */
  heard(origin: string, nowMs: number): boolean {
    this.alone = false;
    const isNew = !this.heardAtMs.has(origin) && this.heardAtMs.size < MAX_PEERS;
    if (isNew || this.heardAtMs.has(origin)) this.heardAtMs.set(origin, nowMs);
    return isNew;
  }

  /** From now on, or no longer, everything that others send arrives here. */
  setHearing(hearing: boolean, nowMs: number): void {
    this.alone = false;
    this.hearingSinceMs = hearing ? nowMs : Infinity;
  }

  /** Call now and then. */
  check(nowMs: number): void {
    for (const [origin, heardAtMs] of this.heardAtMs) {
      if (nowMs - heardAtMs > FORGET_AFTER_MS) this.heardAtMs.delete(origin);
    }
    this.alone = this.heardAtMs.size === 0 && nowMs - this.hearingSinceMs > ALONE_AFTER_MS;
  }
}
