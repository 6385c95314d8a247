const ignore = (): void => undefined;

/**
 * Keeps the reports of one attempt in the order of their calls, awaited or not. Ordinary reports start at once, because
 * the append lane keeps their order; an exclusive one starts when all earlier ones have settled, and the later ones wait
 * for it. A refused report holds nobody up, and its rejection is lost when nobody awaits it.
 */
export class ReportOrder {
  private readonly open = new Set<Promise<unknown>>();
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
  async settled(): Promise<void> {
    await Promise.allSettled(this.open);
  }

  private lift(barrier: Promise<void>): void {
    if (this.barrier === barrier) this.barrier = undefined;
  }

  private track<T>(report: Promise<T>): Promise<T> {
    this.open.add(report);
    const forget = () => this.open.delete(report);
    report.then(forget, forget);
    return report;
  }
}
