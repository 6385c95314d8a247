import type { EventFrame } from './event-frame.js';
import { batchEnd, batchOf, type FrameBatch } from './frame-batch.js';

export interface RingLimits {
  events: number;
  bytes: number;
}

/** How many dropped slots may pile up before the array is compacted, at most. */
const COMPACT_AFTER = 256;

/** The newest frames of one task, contiguous; the oldest fall out once a limit is exceeded, the newest never does. */
export class FrameRing {
  private frames: EventFrame[] = [];
  private start = 0;
  private bytes = 0;

  constructor(private readonly limits: RingLimits) {}

  get size(): number {
    return this.frames.length - this.start;
  }

  /** The caller keeps the order: each frame follows the one before it without a gap. */
  push(frame: EventFrame): void {
    this.frames.push(frame);
    this.bytes += frame.sizeBytes;
    while (this.size > 1 && (this.size > this.limits.events || this.bytes > this.limits.bytes)) this.dropOldest();
    if (this.start > Math.min(COMPACT_AFTER, this.size)) this.compact();
  }

  /** The batch after a cursor; `undefined` when the ring does not reach back to it, or nothing follows it. */
  after(seq: number, maxEvents: number): FrameBatch | undefined {
    const oldest = this.frames[this.start];
    if (!oldest || seq + 1 < oldest.seq) return undefined;
    const from = this.start + seq + 1 - oldest.seq;
    return batchOf(this.frames.slice(from, batchEnd(this.frames, from, maxEvents)));
  }

  private dropOldest(): void {
    this.bytes -= this.frames[this.start]?.sizeBytes ?? 0;
    this.start += 1;
  }

  private compact(): void {
    this.frames = this.frames.slice(this.start);
    this.start = 0;
  }
}
