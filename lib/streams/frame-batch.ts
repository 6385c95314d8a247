import { formatEventId } from '@taskbridge/protocol';
import type { EventFrame } from './event-frame.js';
import { writeTextFrame, textFrameBytes } from './websocket-framing.js';

/** Largest batch in bytes; what a follower that reads slowly must take in one stall time-out, and may hold unsent. */
export const MAX_BATCH_BYTES = 256 * 1024;

/** Consecutive events, at least one, that go out in one write; serialised once per transport for all who share it. */
export class FrameBatch {
  readonly fromSeq: number;
  readonly toSeq: number;
  /** The log ends with this batch. */
  readonly isTerminal: boolean;
  private sseBytes: Buffer | undefined;
  private webSocketBytes: Buffer | undefined;

  constructor(
    readonly frames: readonly EventFrame[],
    first: EventFrame,
    last: EventFrame,
  ) {
    this.fromSeq = first.seq;
    this.toSeq = last.seq;
    this.isTerminal = last.isTerminal;
  }

  /** `id:` and `data:` per event, without `event:`, so that every client's `onmessage` sees it. */
  sse(): Buffer {
    this.sseBytes ??= Buffer.from(
      this.frames.map((frame) => `id: ${formatEventId(frame.seq)}\ndata: ${frame.json()}\n\n`).join(''),
    );
    return this.sseBytes;
  }

  /** One unmasked text frame per event, ready for the socket. */
  webSocket(): Buffer {
    this.webSocketBytes ??= joinTextFrames(this.frames);
    return this.webSocketBytes;
  }
}

/** Splits consecutive frames so that no batch exceeds the limits; a frame larger than the limit is a batch of its own. */
export function toBatches(frames: readonly EventFrame[], maxEvents: number): FrameBatch[] {
  const batches: FrameBatch[] = [];
  for (let start = 0; start < frames.length;) {
    const end = batchEnd(frames, start, maxEvents);
    const batch = batchOf(frames.slice(start, end));
    if (batch) batches.push(batch);
    start = end;
  }
  return batches;
}

/** The batch of all these frames; `undefined` for none. */
export function batchOf(frames: readonly EventFrame[]): FrameBatch | undefined {
  const first = frames[0];
  const last = frames.at(-1);
  return first && last ? new FrameBatch(frames, first, last) : undefined;
}

/** Index after the last frame of the batch that begins at `start`. */
export function batchEnd(frames: readonly EventFrame[], start: number, maxEvents: number): number {
  let bytes = 0;
  let end = start;
  while (end < frames.length && end - start < maxEvents) {
    bytes += frames[end]?.sizeBytes ?? 0;
    if (end > start && bytes > MAX_BATCH_BYTES) break;
    end += 1;
  }
  return end;
}

function joinTextFrames(frames: readonly EventFrame[]): Buffer {
  const texts = frames.map((frame) => frame.json());
  const sizes = texts.map((text) => Buffer.byteLength(text));
  const target = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + textFrameBytes(size), 0));
  let offset = 0;
  texts.forEach((text, index) => {
    offset = writeTextFrame(target, offset, text, sizes[index] ?? 0);
  });
  return target;
}
