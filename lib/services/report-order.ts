const ignore = (): void => undefined;

/**
 * Keeps the reports of one attempt in the order of their calls, awaited or not. Ordinary reports start at once, because
 * the append lane keeps their order; an exclusive one starts when all earlier ones have settled, and the later ones wait
 * for it. A refused report holds nobody up, and its rejection is lost when nobody awaits it.
 */
export class ReportOrder {
  private begun = 0;
  private open = 0;
  private readonly waiting: Waiting[] = [];
  private barrier: Promise<void> | undefined;

  ordinary<T>(report: () => Promise<T>): Promise<T> {
    return this.track(this.barrier === undefined ? report() : this.barrier.then(report));
  }

  exclusive<T>(report: () => Promise<T>): Promise<T> {
    const result = this.settled().then(report);
    const barrier = result.then(ignore, ignore);
    this.barrier = barrier;
    // Registered before any report that waits for the barrier, so that nothing can slip in between.
    void barrier.then(() => this.lift(barrier));
    return this.track(result);
  }

  /** Resolves when everything reported so far has settled. */
  settled(): Promise<void> {
    if (this.open === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiting.push({ upTo: this.begun, left: this.open, resolve }));
  }

  private lift(barrier: Promise<void>): void {
    if (this.barrier === barrier) this.barrier = undefined;
  }

  /** Counts instead of keeping the reports: a set that one comes into and goes out of costs more than the append. */
  private track<T>(report: Promise<T>): Promise<T> {
    this.open += 1;
    const number = (this.begun += 1);
    const forget = () => this.forget(number);
    report.then(forget, forget);
    return report;
  }

  private forget(number: number): void {
    this.open -= 1;
    if (this.waiting.length === 0) return;
    for (const waiting of this.waiting) if (number <= waiting.upTo) waiting.left -= 1;
    while (this.waiting[0]?.left === 0) this.waiting.shift()?.resolve();
  }
}

/** One that waits for the reports up to a number; whoever came later waits for those as well. */
interface Waiting {
  readonly upTo: number;
  left: number;
  readonly resolve: () => void;
}
