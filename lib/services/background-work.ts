import { Injectable } from '@nestjs/common';

/** Work that a request started but does not wait for; shutdown waits for it. */
@Injectable()
export class BackgroundWork {
  private readonly pending = new Set<Promise<unknown>>();

  /** The promise must not reject: whoever starts the work handles its failures. */
  track(work: Promise<unknown>): void {
    this.pending.add(work);
    void work.finally(() => this.pending.delete(work));
  }

  /** Resolves when nothing is pending, work that is added meanwhile included. */
  async settle(): Promise<void> {
    while (this.pending.size > 0) await Promise.allSettled(this.pending);
  }
}
