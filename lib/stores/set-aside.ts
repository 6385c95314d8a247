const DEFAULT_MS = 30_000;
const MOST = 1_000;

/** Ids that are left out of the next rounds of a job, each for a while; the oldest give way when there are too many. */
export class SetAside {
  private readonly until = new Map<string, number>();

  constructor(private readonly forMs = DEFAULT_MS) {}

  add(id: string): void {
    this.until.delete(id);
    this.until.set(id, performance.now() + this.forMs);
    for (const oldest of this.until.keys()) {
      if (this.until.size <= MOST) return;
      this.until.delete(oldest);
    }
  }

  /** Those that are left out now. */
  now(): string[] {
    const nowMs = performance.now();
    for (const [id, untilMs] of this.until) if (untilMs <= nowMs) this.until.delete(id);
    return [...this.until.keys()];
  }
}
